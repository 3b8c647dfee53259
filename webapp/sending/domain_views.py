"""Sending domains, for administrators: keys, the records to publish, and what DNS says."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webapp import clock
from webapp.accounts import audit
from webapp.accounts.rights import Right
from webapp.errors import Invalid, NotFound
from webapp.mail import resolver, warmup
from webapp.mail.dkim import Algorithm
from webapp.mail.resolver import NoDns
from webapp.sending import dns_checks, domains, relays
from webapp.sending.dns_checks import Finding, Level
from webapp.sending.forms import DomainForm, DomainPlanForm
from webapp.sending.models import DkimKey
from webapp.web.forms import shown_again
from webapp.web.htmx import go
from webapp.web.login import needs, person
from webapp.words import _l, gettext

bp = Blueprint("domains", __name__, url_prefix="/settings/domains")


@bp.get("")
@needs(Right.ADMIN)
def index() -> str:
    """List the domains that mail is sent from."""
    return render_template("sending/domains.html", domains=domains.all_domains(at=clock.now()), form=DomainForm())


@bp.post("")
@needs(Right.ADMIN)
def new() -> Response:
    """Make the first key of a domain, or one more."""
    form = DomainForm()
    try:
        if form.validate():
            return _keep(domains.parse_domain(form.domain.data or ""), Algorithm(form.algorithm.data))
    except Invalid as problem:
        form.add_problem(problem)
    return shown_again("sending/domains.html", domains=domains.all_domains(at=clock.now()), form=form)


@bp.get("/<domain>")
@needs(Right.ADMIN)
def show(domain: str) -> Response | str:
    """Show the keys of a domain and the records to publish."""
    asked = _domain(domain)
    if asked != domain:
        return redirect(url_for("domains.show", domain=asked))
    return _page(asked)


@bp.post("/<domain>/check")
@needs(Right.ADMIN)
def check(domain: str) -> str:
    """Ask DNS, show what it says, and keep what is not in order for the rule about sending domains."""
    asked = _domain(domain)
    keys, ways = domains.keys_of(asked), [relay for relay in relays.all_relays() if relay.active]
    try:
        found = dns_checks.check(asked, keys=keys, relays=ways, resolver=resolver.system())
    except NoDns as error:
        found = [dns_checks.no_answer("DNS", str(error))]
    dns_checks.keep(asked, found, at=clock.now())
    return _page(asked, findings=found)


@bp.post("/<domain>/keys")
@needs(Right.ADMIN)
def add_key(domain: str) -> Response:
    """Make a key for a domain."""
    asked, algorithm = _domain(domain), request.form.get("algorithm", "")
    if algorithm not in set(Algorithm):
        raise Invalid(_l("Choose RSA or Ed25519."), field="algorithm")
    return _keep(asked, Algorithm(algorithm))


@bp.post("/keys/<int:key_id>/activate")
@needs(Right.ADMIN)
def activate(key_id: int) -> Response | str:
    """Sign with a key from now on; ask first if DNS does not have it."""
    key = domains.get_key(key_id)
    if not request.form.get("anyway"):
        try:
            found = dns_checks.check_key(key, resolver.system())
        except NoDns as error:
            found = dns_checks.no_answer(f"DKIM {key.selector}", str(error))
        if found.level is not Level.OK:
            return _page(key.domain, findings=[found], doubtful=key)
    key = domains.activate(key_id, by=person(), at=clock.now())
    _record("dkim-key-activated", key)
    flash(gettext("Messages from %(domain)s are signed with %(selector)s from now on.", **_names(key)), "ok")
    return go(url_for("domains.show", domain=key.domain))


@bp.post("/keys/<int:key_id>/retire")
@needs(Right.ADMIN)
def retire(key_id: int) -> Response:
    """Never sign with a key again."""
    key = domains.retire(key_id, by=person(), at=clock.now())
    _record("dkim-key-retired", key)
    flash(gettext("%(selector)s signs nothing any more. Leave its record in DNS for a week.", **_names(key)), "ok")
    return go(url_for("domains.show", domain=key.domain))


@bp.post("/<domain>/plan")
@needs(Right.ADMIN)
def plan(domain: str) -> Response:
    """Plan the warm-up of a domain."""
    asked, form = _domain(domain), DomainPlanForm()
    if not form.validate():
        return shown_again("sending/domain.html", **_context(asked, form=form))
    domains.keep_plan(asked, plan=form.plan.data, begin_again=bool(form.begin_again.data), by=person())
    audit.record(
        "domain-plan-changed",
        by=person(),
        at=clock.now(),
        address=request.remote_addr,
        name=asked,
        plan=", ".join(map(str, form.plan.data)),
    )
    flash(gettext("The warm-up is saved. It holds within a second, also for deliveries that are being sent."), "ok")
    return go(url_for("domains.show", domain=asked))


def _page(domain: str, *, findings: list[Finding] | None = None, doubtful: DkimKey | None = None) -> str:
    return render_template("sending/domain.html", **_context(domain, findings=findings, doubtful=doubtful))


def _context(
    domain: str,
    *,
    findings: list[Finding] | None = None,
    doubtful: DkimKey | None = None,
    form: DomainPlanForm | None = None,
) -> dict[str, Any]:
    keys, warming, at = domains.keys_of(domain), warmup.of_domain(domain), clock.now()
    return {
        "domain": domain,
        "keys": keys,
        "records": [domains.record_of(key) for key in keys if key.state != "retired"] + domains.other_records(domain),
        "findings": findings,
        "last": dns_checks.last_check(domain),
        "doubtful": doubtful,
        "form": form or DomainPlanForm(obj=warming),
        "warming": warming,
        "used": warmup.used(warming, at=at) if warming else 0,
        "top": warmup.ceiling(warming, at=at) if warming else None,
    }


def _domain(text: str) -> str:
    try:
        return domains.parse_domain(text)
    except Invalid:
        raise NotFound(_l("This is not a domain.")) from None


def _keep(domain: str, algorithm: Algorithm) -> Response:
    key = domains.add_key(domain, algorithm=algorithm, by=person(), at=clock.now())
    _record("dkim-key-created", key)
    flash(gettext("The key is made. Publish its record, check it, then activate the key."), "ok")
    return go(url_for("domains.show", domain=domain))


def _record(action: str, key: DkimKey) -> None:
    by, at = person(), clock.now()
    audit.record(
        action, by=by, at=at, object_type="dkim-key", object_id=key.id, address=request.remote_addr, **_names(key)
    )


def _names(key: DkimKey) -> dict[str, str]:
    return {"domain": key.domain, "selector": key.selector}
