"""Every event of the log: its name, which never changes, and what has happened. `/docs/log` shows them."""

from __future__ import annotations

from typing import Final

LOG_EVENTS: Final = {
    "daemon.started": "The process has begun, with its version and its database; it does not serve yet.",
    "daemon.ready": "It serves, on these addresses.",
    "daemon.refused": "It did not start: the reason says what to change.",
    "daemon.failed": "It ended because of a fault; systemd starts it again, and what was accepted is kept.",
    "daemon.draining": "It was told to stop: it takes nothing new and ends what is in flight.",
    "daemon.stopped": "It has ended; clean is false if not everything could end in time.",
    "daemon.reloaded": "SIGHUP: the configuration was read again; what changed, and what needs a restart.",
    "daemon.reload_refused": "SIGHUP: the configuration cannot be used, and nothing was changed.",
    "operator_token.created": "A new operator's token was written to this file.",
    "http.request": "A request was answered. status 499: the client was gone before.",
    "http.failed": "A connection was closed because of a fault of the daemon.",
    "http.accept_failing": "No connection can be accepted just now, for want of descriptors say.",
    "http.accept_recovered": "Connections are accepted again.",
    "webhook.created": "A webhook was registered.",
    "webhook.updated": "A webhook was changed, in these fields.",
    "webhook.deleted": "A webhook was deleted: it is inactive now.",
    "webhook.secret_rotated": "Another secret of a webhook is in force; how many sign now, and for how long.",
    "token.created": "A token of a tenant was made.",
    "token.revoked": "A token of a tenant was revoked.",
    "event.accepted": "Events were accepted: they and their deliveries are on disk.",
    "delivery.attempted": "An attempt has ended and is recorded: its status, error and timings.",
    "delivery.interrupted": "An attempt was cut off, by a stop or a crash: it may have arrived. It is not sent again.",
    "delivery.cancelled": "A delivery was not begun, because its webhook was deactivated.",
    "delivery.postponed": "An attempt could not begin because of this machine; it is pending again.",
    "delivery.bug": "An attempt met a fault of the daemon; its error is internal.",
    "storage.failing": "The database cannot be written: publishing is answered 503 until it can.",
    "storage.recovered": "The database can be written again.",
    "retention.deleted": "Old events and their deliveries were deleted.",
    "retention.stuck": "The database is over storage.max_bytes, and all that is left in it waits.",
    "retention.paused": "Nothing is deleted by age while the clock is in doubt after a jump.",
    "retention.resumed": "Old events are deleted again.",
    "loop.blocked": "A task held the event loop for more than 0.1 s; its stack says which.",
    "log.dropped": "Lines were lost, because nobody took them from the log in time.",
    "log.no_journal": "The journal could not be reached: lines go to standard error.",
    "library.message": "What a library had to say.",
}
