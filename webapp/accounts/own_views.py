"""What belongs to the person who is signed in: profile, password, notices."""

from functools import lru_cache
from zoneinfo import available_timezones

from flask import Blueprint, flash, make_response, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import notices, sessions, users
from webapp.accounts.forms import ChangePasswordForm, ProfileForm
from webapp.accounts.sessions import TooManyAttempts
from webapp.errors import Invalid
from webapp.web import live, login
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import person, signed_in
from webapp.web.pages import Page, asked_slice
from webapp.words import gettext

bp = Blueprint("own", __name__)

#: Each language calls itself by its own name.
LANGUAGE_NAMES = {"en": "English", "nb": "Norsk", "sv": "Svenska", "nl": "Nederlands"}


@bp.route("/profile", methods=["GET", "POST"])
@signed_in
def profile() -> Response | str:
    """Show and change one's own name, language, time zone and theme."""
    form = _profile_form()
    if request.method == "GET":
        return render_template("accounts/profile.html", form=form, password_form=ChangePasswordForm(formdata=None))
    if not form.validate():
        return shown_again("accounts/profile.html", form=form, password_form=ChangePasswordForm(formdata=None))
    to = users.Profile(
        name=form.name.data or "", locale=form.locale.data or None, timezone=form.timezone.data, theme=form.theme.data
    )
    users.change_profile(person(), to=to, at=clock.now(), address=request.remote_addr)
    flash(gettext("Your profile is saved."), "ok")
    return go(url_for("own.profile"))


@bp.post("/profile/password")
@signed_in
def change_password() -> Response | str:
    """Change one's own password; every other session of one's own ends."""
    user, form, status = person(), ChangePasswordForm(), 422
    if form.validate():
        change = sessions.PasswordChange(current=form.current.data or "", new=form.password.data or "")
        try:
            sessions.change_own_password(user, change=change, at=clock.now(), address=request.remote_addr)
        except TooManyAttempts as problem:
            form.form_errors.append(str(problem.message))
            status = problem.status
        except Invalid as problem:
            form.add_problem(problem)
        else:
            login.start_session(user, keep=login.is_kept())
            flash(gettext("Your password is changed, and you are signed out everywhere else."), "ok")
            return go(url_for("own.profile"))
    page = render_template("accounts/profile.html", form=_profile_form(shown_only=True), password_form=form)
    return make_response(page, status)


@bp.post("/profile/sign-out-everywhere")
@signed_in
def sign_out_everywhere() -> Response:
    """End every session of one's own, this one too."""
    sessions.end_all(person(), at=clock.now(), address=request.remote_addr)
    login.end_session()
    flash(gettext("You are signed out everywhere."), "ok")
    return go(url_for("accounts.sign_in"))


@bp.get("/notices")
@signed_in
def notices_list() -> str:
    """List what one was told, newest first."""
    user, part = person(), asked_slice()
    told = notices.latest(user, limit=part.limit, offset=part.offset)
    page = Page(told, notices.count(user), part.number, part.size)
    return render_template("accounts/notices.html", page=page, unread=notices.unread(user.id))


@bp.post("/notices/<int:notice_id>")
@signed_in
def open_notice(notice_id: int) -> Response:
    """Mark a notice read and go where it leads."""
    notice = notices.read(person(), notice_id=notice_id, at=clock.now())
    return go(login.local_target(notice.href) or url_for("own.notices_list"))


@bp.post("/notices/read")
@signed_in
def read_all() -> Response:
    """Mark all notices read."""
    notices.read_all(person(), at=clock.now())
    return go(url_for("own.notices_list"))


@live.fragment("user", "bell")
def bell(user_id: int) -> str:
    """The number of unread notices, in the bar at the top."""
    return render_template("accounts/_bell.html", user_id=user_id)


@bp.app_template_global()
def unread_notices(user_id: int) -> int:
    """Return how many notices a user has not looked at."""
    return notices.unread(user_id)


def _profile_form(*, shown_only: bool = False) -> ProfileForm:
    user = person()
    kept = {"name": user.name, "locale": user.locale or "", "timezone": user.timezone, "theme": user.theme}
    form = ProfileForm(formdata=None, data=kept) if shown_only else ProfileForm(data=kept)
    form.locale.choices = [("", gettext("As the browser asks for")), *LANGUAGE_NAMES.items()]
    form.timezone.choices = [(name, name.replace("_", " ")) for name in timezones()]
    return form


@lru_cache(maxsize=1)
def timezones() -> list[str]:
    """Return the names of the time zones a person may live in."""
    areas = ("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/")
    return [*sorted(name for name in available_timezones() if name.startswith((*areas, "Pacific/"))), "UTC"]
