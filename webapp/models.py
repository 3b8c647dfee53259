"""All tables, so that migrations and relationships see every one of them."""

from webapp.accounts import models as accounts
from webapp.audience import models as audience
from webapp.db import Model
from webapp.deliveries import models as deliveries
from webapp.deliveries import quiet
from webapp.feedback import models as feedback
from webapp.insight import models as insight
from webapp.mail import models as mail
from webapp.mail import outbox
from webapp.rules import models as rules
from webapp.sending import models as sending
from webapp.tracking import models as tracking

__all__ = [
    "Model",
    "accounts",
    "audience",
    "deliveries",
    "feedback",
    "insight",
    "mail",
    "outbox",
    "quiet",
    "rules",
    "sending",
    "tracking",
]
