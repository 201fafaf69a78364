"""Files from elsewhere, whole and right or not at all: data sets and trained weights come through here."""

from striate.download.remote import Remote
from striate.download.transfer import Patience, fetch

__all__ = ["Patience", "Remote", "fetch"]
