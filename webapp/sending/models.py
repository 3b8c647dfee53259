"""Relays stand with the mail they speak SMTP for, so that deliveries may name one; sending knows them by this name."""

from webapp.mail.models import Relay

__all__ = ["Relay"]
