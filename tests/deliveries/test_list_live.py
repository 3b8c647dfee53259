"""The live fragments of the list: what goes to whom."""

from webapp.accounts.models import Folder
from webapp.db import db, transaction
from webapp.deliveries.views import may_watch
from webapp.web import live
from webapp.web.i18n import Lens

LIST = frozenset({"deliveries"})
EVERYBODY = Lens(rights=frozenset({"view"}))


def test_a_row_goes_to_who_watches_the_list_and_bears_its_event_as_id(app, make_delivery):
    delivery = make_delivery(label="Here")
    name = f"delivery-{delivery.id}-row"
    [(event, html)] = live.render(app, ("delivery", delivery.id), EVERYBODY, LIST)
    assert event == name
    assert f'id="{name}"' in html
    assert f'sse-swap="{name}"' in html
    assert html.strip().startswith("<tr")


def test_a_row_of_another_folder_goes_to_nobody_who_is_limited(app, make_delivery):
    with transaction():
        north = Folder(name="North")
        db.session.add(north)
    inside, outside = make_delivery(audience="a", folder=north), make_delivery(audience="b")
    limited = Lens(rights=frozenset({"view"}), folders=frozenset({north.id}))
    assert live.render(app, ("delivery", inside.id), limited, LIST)
    assert live.render(app, ("delivery", outside.id), limited, LIST) == []
    assert may_watch(limited, inside.id)
    assert not may_watch(limited, outside.id)
    assert not may_watch(Lens(rights=frozenset()), inside.id)


def test_controls_of_a_row_are_those_of_its_viewers(app, make_delivery):
    delivery = make_delivery()
    may = Lens(rights=frozenset({"view", "prepare"}))
    assert "/actions/copy" in live.render(app, ("delivery", delivery.id), may, LIST)[0][1]
    assert "/actions/copy" not in live.render(app, ("delivery", delivery.id), EVERYBODY, LIST)[0][1]


def test_a_fragment_carries_nobodys_token(app, make_delivery):
    delivery = make_delivery()
    html = live.render(app, ("delivery", delivery.id), Lens(rights=frozenset({"view", "prepare"})), LIST)[0][1]
    assert 'name="csrf_token" value=""' in html


def test_a_fragment_is_rendered_in_the_language_of_its_viewers(app, make_delivery):
    delivery = make_delivery(state="stopped")
    norwegian = Lens(language="nb", rights=frozenset({"view"}))
    shown = {live.render(app, ("delivery", delivery.id), lens, LIST)[0][1] for lens in (EVERYBODY, norwegian)}
    assert any("Stopped" in html for html in shown)


def test_a_delivery_that_is_gone_sends_nothing(app, database):
    assert live.render(app, ("delivery", 10**9), EVERYBODY, LIST) == []
