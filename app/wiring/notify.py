"""Notify: delivers mails and webhooks."""

from functools import cache

from app.notify.compose import Composer
from app.notify.outbox import MailRules, Outbox
from app.notify.post import Poster
from app.notify.smtp import SmtpSender
from app.notify.webhooks import Webhooks
from app.settings import settings
from app.wiring.stores import engine


@cache
def outbox() -> Outbox:
    """Delivers mails."""
    config = settings()
    url = config.smtp_url
    return Outbox(
        engine=engine(),
        sender=SmtpSender(url.get_secret_value()) if url is not None else None,
        composer=Composer(
            sender=config.mail_from, templates_directory=config.mail_templates_directory
        ),
        rules=MailRules(
            attempts_max=config.mail_attempts_max, domains_allowed=config.mail_domains_allowed
        ),
    )


@cache
def webhooks() -> Webhooks:
    """Sends webhooks."""
    config = settings()
    hosts_allowed = frozenset(host.lower() for host in config.webhook_hosts_allowed)
    return Webhooks(
        engine=engine(),
        poster=Poster(hosts_allowed=hosts_allowed),
        receivers=config.webhooks,
        attempts_max=config.webhook_attempts_max,
    )
