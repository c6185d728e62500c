"""Moments as people write them: how long ago, on the clock, or with the date."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

FORMS = "15m or 1h30m (ago), 14:05, or 2026-11-30T14:05"
_EPOCH = datetime.fromtimestamp(0, timezone.utc)
_AGO = re.compile(r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


def parse_ago(text: str) -> timedelta | None:
    """Read how long ago a moment is; None where a text does not say it so.

    Raises:
        OverflowError: It is longer than can be counted.
    """
    ago = _AGO.fullmatch(text.strip())
    if not ago:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in ago.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def parse_moment(text: str, now: datetime) -> datetime:
    """Read a moment.

    Args:
        text: A duration, which is that long ago; a time of the day, which is the last time that the clock showed it; or
            a date with or without a time, in ISO 8601. What has no time zone is in that of this machine.
        now: The present moment, with a time zone.

    Raises:
        ValueError: It is none of these, or too long ago.
    """
    text = text.strip()
    try:
        if (ago := parse_ago(text)) is not None:
            return max(_EPOCH, now - ago)
    except OverflowError:
        raise ValueError("it is too long ago") from None
    if clock := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part or 0) for part in clock.groups())
        shown = now.astimezone().replace(tzinfo=None, hour=hour, minute=minute, second=second, microsecond=0)
        today = shown.astimezone()
        return today if today <= now else (shown - timedelta(days=1)).astimezone()
    # Python 3.10 reads neither a Z nor a fraction of other than three or six digits.
    text = re.sub(r"\.(\d{1,6})\d*", lambda fraction: "." + fraction[1].ljust(6, "0"), text)
    moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    return max(_EPOCH, moment if moment.tzinfo else moment.astimezone())
