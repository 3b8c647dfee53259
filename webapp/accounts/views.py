"""The way in and out: sign in, sign out, forgotten passwords, the first administrator."""

from flask import Blueprint, current_app, flash, make_response, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit, demo, letters, sessions, users
from webapp.accounts.forms import ForgotForm, NewPasswordForm, SignInForm, WelcomeForm
from webapp.accounts.letters import Links
from webapp.accounts.rights import rights_in_words, role_name
from webapp.accounts.sessions import Attempt, TooManyAttempts
from webapp.errors import Invalid, NotFound
from webapp.web import i18n, login
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import public, signed_in
from webapp.words import _l, gettext, speaking

bp = Blueprint("accounts", __name__)
bp.add_app_template_global(role_name)
bp.add_app_template_global(rights_in_words)


@bp.before_app_request
def note_origin() -> None:
    """Let the audit log know where what is done now comes from."""
    audit.origin.set(request.remote_addr)


@bp.teardown_app_request
def forget_origin(_error: BaseException | None) -> None:
    """Nothing after this request comes from there."""
    audit.origin.set(None)


@bp.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in() -> Response | str:
    """Ask who it is. A wrong password is answered 200: 400 and above would take back its line in the audit log."""
    target = login.local_target(request.values.get("next")) or "/"
    if current_user.is_authenticated and request.method == "GET":
        return redirect(target)
    if users.is_empty():
        return redirect(url_for("accounts.welcome"))
    form, status = SignInForm(), 200
    if request.method == "POST" and form.validate():
        attempt = Attempt(email=form.email.data or "", password=form.password.data or "", address=request.remote_addr)
        try:
            user = sessions.sign_in(attempt, at=clock.now())
        except TooManyAttempts as problem:
            form.form_errors.append(str(problem.message))
            status = problem.status
        else:
            if user:
                login.start_session(user, keep=form.keep.data)
                return go(target)
            form.form_errors.append(gettext("Address and password do not belong together. Check both and try again."))
    settings = current_app.extensions["settings"]
    people = demo.sign_ins() if settings.demo else []
    words = {"people": people, "password": demo.PASSWORD, "hours": settings.session_hours}
    page = render_template("accounts/sign_in.html", form=form, target=target, **words)
    return make_response(page, status)


@bp.post("/sign-out")
@signed_in
def sign_out() -> Response:
    """End this session; others of the same person go on."""
    audit.record("signed-out", by=login.person(), at=clock.now(), address=request.remote_addr)
    login.end_session()
    return go(url_for("accounts.sign_in"))


@bp.route("/forgot-password", methods=["GET", "POST"])
@public
def forgot() -> Response | str:
    """Send a link to choose a new password; the answer is the same whether there is such a user or not."""
    form = ForgotForm()
    if request.method == "GET":
        return render_template("accounts/forgot.html", form=form)
    if not form.validate():
        return shown_again("accounts/forgot.html", form=form)
    try:
        letters.ask_reset(
            form.email.data or "", links=links(), language=i18n.language(), at=clock.now(), address=request.remote_addr
        )
    except TooManyAttempts as problem:
        form.form_errors.append(str(problem.message))
        return make_response(render_template("accounts/forgot.html", form=form), problem.status)
    return render_template("accounts/forgot_sent.html", email=form.email.data)


@bp.route("/choose-password/<token>", methods=["GET", "POST"])
@public
def choose_password(token: str) -> Response | str:
    """Let the bearer of a link from a letter choose a password, once; every other session of theirs ends."""
    user = letters.bearer(token, secret=links().secret, at=clock.now())
    if user is None:
        return make_response(render_template("accounts/link_void.html"), 404)
    form, words = NewPasswordForm(), {"token": token, "user": user}
    with speaking(user.locale or i18n.language()):
        if request.method == "GET":
            return render_template("accounts/choose_password.html", form=form, **words)
        if not form.validate():
            return shown_again("accounts/choose_password.html", form=form, **words)
        try:
            sessions.change_password(
                user, password=form.password.data or "", at=clock.now(), address=request.remote_addr
            )
        except Invalid as problem:
            form.add_problem(problem)
            return shown_again("accounts/choose_password.html", form=form, **words)
        login.end_session()
        flash(gettext("Your password is set. Sign in with it."), "ok")
    return go(url_for("accounts.sign_in"))


@bp.route("/welcome", methods=["GET", "POST"])
@public
def welcome() -> Response | str:
    """Make the first administrator of an installation that has no user at all; afterwards this page is gone."""
    if not users.is_empty():
        raise NotFound(_l("There is an administrator already. Sign in instead."))
    form = WelcomeForm()
    if request.method == "GET":
        return render_template("accounts/welcome.html", form=form)
    if not form.validate():
        return shown_again("accounts/welcome.html", form=form)
    first = users.NewUser(
        email=form.email.data or "", name=form.name.data or "", role="Administrator", password=form.password.data or ""
    )
    try:
        user = users.create_first(first, at=clock.now(), address=request.remote_addr)
    except Invalid as problem:
        form.add_problem(problem)
        return shown_again("accounts/welcome.html", form=form)
    login.start_session(user, keep=False)
    flash(gettext("Welcome to Sendoff, %(name)s.", name=user.name), "ok")
    return go("/")


def links() -> Links:
    """How this installation makes links that let people choose a password."""
    settings = current_app.extensions["settings"]
    return Links(
        settings.secret_key, lambda token: settings.base_url + url_for("accounts.choose_password", token=token)
    )
