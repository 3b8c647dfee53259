"""Relays and keys stand with the mail they are for, so that deliveries may name a relay; sending knows them by these names."""

from webapp.mail.models import DkimKey, Relay

__all__ = ["DkimKey", "Relay"]
