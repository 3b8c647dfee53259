"""What a check found, as a code with parameters, and the words for each code."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from webapp.words import _l

WORDS = {
    "topic_missing": (_l("No topic is chosen"), _l("Only contacts who subscribe to the topic get the message.")),
    "relay_missing": (_l("There is no relay to send with"), _l("Choose one that is in use, or ask an administrator.")),
    "audience_missing": (
        _l("No audience is chosen"),
        _l("Choose at least one list. Without it there is nobody to send to."),
    ),
    "sender_missing": (_l("The sender's address is missing"), _l("Say from which address the message comes.")),
    "sender_invalid": (_l("The sender's address “%(address)s” is not an e-mail address"), _l("Correct it.")),
    "sender_international": (
        _l("The sender's address “%(address)s” has letters beyond a to z before the @"),
        _l("Every receiver would have to know international addresses, and most do not. Take one without."),
    ),
    "sender_name": (_l("The sender has no name"), _l("Readers see the bare address. A name is trusted more.")),
    "domain_unchecked": (
        _l("Nobody has checked what DNS says of the sender's domain %(domain)s"),
        _l(
            "An administrator can, in Settings → Sending domains. Mailbox providers look for SPF, DKIM and DMARC there."
        ),
    ),
    "domain_amiss": (
        _l("DNS is not in order for the sender's domain %(domain)s: %(names)s"),
        _l(
            "Mailbox providers may refuse the message or hide it. Settings → Sending domains says what to publish; check again there afterwards."
        ),
    ),
    "reply_invalid": (
        _l("The reply address “%(address)s” is not an e-mail address"),
        _l("Correct it, or leave it empty."),
    ),
    "reply_international": (
        _l("The reply address “%(address)s” has letters beyond a to z before the @"),
        _l("Every receiver would have to know international addresses, and most do not. Take one without."),
    ),
    "subject_missing": (_l("The subject is missing"), _l("Write what the message is about, in a few words.")),
    "subject_long": (
        _l("The subject has %(count)s characters"),
        _l("Phones show about 40. This does not stop you from preparing."),
    ),
    "preheader_missing": (
        _l("There is no preheader"),
        _l("It is the line beside the subject in the inbox. Without one, the first words of the message stand there."),
    ),
    "preheader_long": (
        _l("The preheader has %(count)s characters"),
        _l("Most mail programs show less than %(limit)s."),
    ),
    "html_missing": (_l("The HTML part is empty"), _l("Write the message, or begin with a starter.")),
    "text_missing": (
        _l("The text part is empty"),
        _l("Some people and many filters read it. Use “Make text from HTML”."),
    ),
    "template": (_l("A merge field or condition cannot be read"), "%(problem)s"),
    "fields_unknown": (
        _l("Unknown merge fields: %(names)s"),
        _l("Nobody has such a field. Check the spelling against the list of merge fields."),
    ),
    "link_in_line": (_l("A link stands where only words can stand"), _l("Move it into the message.")),
    "unsubscribe_html": (
        _l("The HTML part has no unsubscribe link"),
        _l("Add a link whose address is the merge field unsubscribe_url."),
    ),
    "unsubscribe_text": (_l("The text part has no unsubscribe link"), _l("Add the merge field unsubscribe_url.")),
    "one_click": (
        _l("Mail programs cannot offer to unsubscribe by one click"),
        _l("The address of Sendoff does not begin with https. Large mailbox providers ask for it."),
    ),
    "link_empty": (_l("The link “%(label)s” has no address"), _l("Readers could not follow it.")),
    "link_relative": (
        _l("The link “%(label)s” has an incomplete address"),
        _l("“%(href)s” must begin with https://"),
    ),
    "link_scheme": (
        _l("The link “%(label)s” leads to something that is not a web page"),
        _l("“%(href)s” must begin with https://"),
    ),
    "link_host": (_l("The link “%(label)s” has a broken address"), _l("Check “%(href)s” for spaces and wrong signs.")),
    "link_host_field": (
        _l("The link “%(label)s” takes its site from a merge field"),
        _l("Merge fields may stand only after the name of the site, as in https://example.com/?name=…"),
    ),
    "link_long": (_l("The link “%(label)s” has a very long address"), _l("Shorten it to less than 2,000 characters.")),
    "link_insecure": (
        _l("The link “%(label)s” is not secure"),
        _l("“%(href)s” begins with http. Use https if the site has it."),
    ),
    "links_many": (_l("There are %(count)s different links"), _l("At most %(limit)s can be counted.")),
    "image_alt": (
        _l("Images without a description: %(count)s"),
        _l('Add alt text, or alt="" for decoration. Many readers see no images.'),
    ),
    "image_source": (
        _l("Images that readers cannot reach: %(count)s"),
        _l("“%(source)s” must begin with https://"),
    ),
    "language": (_l("The language of the message is not set"), _l("Add lang to the html element, for screen readers.")),
    "contrast": (
        _l("Text that is hard to tell from its background: %(count)s"),
        _l("“%(text)s” is %(colour)s on %(background)s, %(ratio)s to 1. It should be 4.5 to 1."),
    ),
    "active": (
        _l("Scripts, forms or frames do not work in mail"),
        _l("They are left out when the message is prepared."),
    ),
    "size_warning": (
        _l("The HTML part is large: %(size)s KB"),
        _l("Above %(limit)s KB a large mailbox provider cuts the message off."),
    ),
    "size_error": (
        _l("The HTML part is too large: %(size)s KB"),
        _l("Above %(limit)s KB a large mailbox provider cuts the message off, with its unsubscribe link. Shorten it."),
    ),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """Something a check found: its code, its level (error or warning), the field that mends it, and figures."""

    code: str
    level: str
    field: str
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def message(self) -> str:
        """What is wrong, in the language of whoever asks."""
        return _filled(str(WORDS[self.code][0]), self.params)

    @property
    def advice(self) -> str:
        """What it means or what to do."""
        return _filled(str(WORDS[self.code][1]), self.params)

    @property
    def line(self) -> int:
        """The line in the source, from 1; 0 where there is none."""
        return int(self.params.get("line", 0))


def _filled(sentence: str, params: Mapping[str, Any]) -> str:
    return sentence % params if params else sentence
