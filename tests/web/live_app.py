"""The app as gunicorn serves it in the tests of the stream, with a thing to watch: the name of a user."""

from flask import g
from sqlalchemy import text

from webapp.app import create_app
from webapp.db import db
from webapp.web import live
from webapp.web.i18n import language, number

app = create_app()
live.watchable("probe", lambda lens, thing: thing < 1_000_000 and "view" in lens.rights)


@live.fragment("probe", "name")
def probe(user_id: int) -> str | None:
    name = db.session.scalar(text('SELECT name FROM "user" WHERE id = :id'), {"id": user_id})
    renders = g.get("renders", 0)
    return f"<p>{name}\n{language()} {number(1234.5)} {renders}</p>" if name else None
