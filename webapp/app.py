"""The application factory: the table of contents of Sendoff."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import broker, models
from webapp.accounts import audit_views as audit
from webapp.accounts import own_views as own
from webapp.accounts import sessions
from webapp.accounts import settings_views as settings_pages
from webapp.accounts import views as accounts
from webapp.audience import (
    attribute_views,
    attributes,
    consent_views,
    contact_views,
    erasure,
    history,
    import_views,
    join_views,
    joining,
    list_views,
    person_views,
    quarantine_views,
    segment_kinds,
    segment_views,
    segments,
    suppression_views,
    tag_views,
    topic_views,
)
from webapp.audience import views as audience
from webapp.db import db
from webapp.deliveries import (
    actions,
    attribute_use,
    confirm_views,
    content_views,
    editing,
    prepare_views,
    proof_views,
    quiet_views,
    typology_views,
)
from webapp.deliveries import views as deliveries
from webapp.feedback import erasure as feedback_erasure
from webapp.feedback import views as mailboxes
from webapp.insight import export_views as exports
from webapp.insight import live_views as insight_live
from webapp.insight import received
from webapp.insight import tab_views as tabs
from webapp.insight import views as insight
from webapp.insight import wall_views as wall
from webapp.local import views as mailbox
from webapp.sending import domain_views, grant_views, limit_views
from webapp.sending import erasure as sending_erasure
from webapp.sending import views as relays
from webapp.settings import Settings, use
from webapp.tracking import conditions
from webapp.tracking import erasure as tracking_erasure
from webapp.tracking import joining as tracking_joining
from webapp.tracking import views as tracking
from webapp.web import errors, filters, health, htmx, i18n, live, login, logs, requests, security

ROOT = Path(__file__).resolve().parent.parent


def create_app(settings: Settings | None = None) -> Flask:
    """Return the app, wired; settings come from the environment unless given."""
    settings = settings or Settings.from_env()
    app = Flask(
        "webapp",
        root_path=str(ROOT / "webapp"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
    )
    app.config.update(flask_config(settings))
    if settings.proxy:
        number = settings.proxy
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=number, x_proto=number, x_host=number)  # type: ignore[method-assign]
    app.extensions["settings"] = settings
    use(settings)
    broker.configure(settings.redis_url)
    db.init_app(app)
    Migrate(app, db, directory=str(ROOT / "webapp" / "migrations"))
    for part in (logs, htmx, i18n, filters, errors, requests, live):
        part.init_app(app)
    login.init_app(app, sessions)
    security.init_app(app)  # after login: who was signed out meanwhile is asked to sign in, not told of a token
    history.provide(received)
    for forget in (tracking_erasure.forget, feedback_erasure.forget, sending_erasure.forget):
        erasure.also(forget)
    joining.also(tracking_joining.bring)
    attributes.used_in(attribute_use.deliveries)
    for features in (segment_kinds, segments, conditions):
        features.provide()
    for blueprint in blueprints():
        app.register_blueprint(blueprint)
    return app


def flask_config(settings: Settings) -> dict[str, Any]:
    """Return what Flask and its extensions read, made from the settings."""
    return {
        "SECRET_KEY": settings.secret_key,
        "TRUSTED_HOSTS": trusted_hosts(settings),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_size": settings.database_pool,
            "max_overflow": settings.database_pool,
            "pool_pre_ping": True,
            "pool_recycle": 1800,
        },
        "MAX_CONTENT_LENGTH": settings.max_upload_mb * 1_000_000,
        "MAX_FORM_MEMORY_SIZE": settings.max_form_mb * 1_000_000,
        "PERMANENT_SESSION_LIFETIME": settings.session_hours * 3600,
        "SESSION_REFRESH_EACH_REQUEST": False,  # web/login does, every few minutes
        "SESSION_COOKIE_NAME": "__Host-sendoff" if settings.secure_cookies else "sendoff",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }


def trusted_hosts(settings: Settings) -> list[str] | None:
    """Return the host names that requests may name; one-machine mode may be reached by any."""
    if settings.trusted_hosts:
        return list(settings.trusted_hosts)
    if settings.sendoff_local:
        return None
    return [urlsplit(settings.base_url).hostname or "", "localhost", "127.0.0.1"]


#: The pages of the settings.
SETTINGS: tuple[Blueprint, ...] = (
    settings_pages.bp,
    relays.bp,
    limit_views.bp,
    grant_views.bp,
    quiet_views.bp,
    domain_views.bp,
    mailboxes.bp,
    typology_views.bp,
    audit.bp,
)


def blueprints() -> tuple[Blueprint, ...]:
    """Every feature's pages."""
    return (
        *SETTINGS,
        accounts.bp,
        actions.bp,
        confirm_views.bp,
        attribute_views.bp,
        audience.bp,
        contact_views.bp,
        content_views.bp,
        editing.bp,
        deliveries.bp,
        health.bp,
        exports.bp,
        insight.bp,
        import_views.bp,
        join_views.bp,
        list_views.bp,
        person_views.bp,
        tabs.bp,
        mailbox.bp,
        own.bp,
        prepare_views.bp,
        tracking.bp,
        wall.bp,
        proof_views.bp,
        quarantine_views.bp,
        segment_views.bp,
        suppression_views.bp,
        tag_views.bp,
        consent_views.bp,
        topic_views.bp,
    )


__all__ = ["create_app", "insight_live", "models"]
