"""What the columns of other tools' files mean, guessed from their names in many languages."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from babel import Locale

from webapp.words import LazyString, _l

#: What a column can go to. "attribute" and "ignore" may be chosen for many columns, each other field for one.
FIELDS: dict[str, LazyString] = {
    "email": _l("Address"),
    "first_name": _l("First name"),
    "last_name": _l("Last name"),
    "full_name": _l("Whole name"),
    "language": _l("Language"),
    "country": _l("Country"),
    "company": _l("Company"),
    "external_id": _l("External number"),
    "consent_at": _l("Date of consent"),
    "opt_out": _l("Unsubscribed there"),
    "attribute": _l("Attribute"),
    "ignore": _l("Do not import"),
}
MANY = {"attribute", "ignore"}

#: Names as they stand in exports, folded (see `fold`). The first of several columns that fit gets the field.
KNOWN: dict[str, str] = {
    "email": """email emailaddress emailaddresses mail mailaddress mailadresse epost epostadresse epostadress emailadresse emailadres
        mailadres eaddress address1email primaryemail workemail businessemail contactemail subscriberemail useremail emailid
        emailwork emailprivate emailaddress1 emailaddr emailaddressx recipientemail email1value personemail ssemail emailadresse1 epostprivat epostjobb epostarbete privatemail correo correoelectronico correio courriel
        adressemail adresseemail adresseelectronique adressedemessagerie posta indirizzoemail adreselektroniczny
        sahkoposti sahkopostiosoite netfang tolvupostur""",
    "first_name": """firstname fname first givenname forename christianname fornavn fornamn voornaam vorname prenom
        nombre nome imie etunimi fornafn mergefirstname contactfirstname subscriberfirstname kallenavn tilltalsnamn roepnaam""",
    "last_name": """lastname lname last surname familyname etternavn efternamn achternaam nachname efternavn nom nomdefamille
        apellido apellidos cognome nazwisko sukunimi eftirnafn contactlastname subscriberlastname familienaam familienavn""",
    "full_name": """name fullname navn namn naam contactname displayname fulltnavn fullstandigtnavn fullstandigtnamn
        volledigenaam kontaktperson kontakt contact contactperson subscribername kundenavn nomcomplet nombrecompleto nafn nimi""",
    "language": """language lang languagecode locale preferredlanguage sprak spraak sprakkode sprog taal taalcode sprache langue
        idioma lingua kieli tungumal sprakkod correspondencelanguage""",
    "country": """country countrycode countryregion land landkode landcode landskod pays pais paese maa nation countryname
        addresscountry mailingcountry billingcountry""",
    "company": """company companyname organization organisation organisationname account accountname firma firmanavn bedrift
        bedriftsnavn foretag foretagsnamn bedrijf bedrijfsnaam firmenname unternehmen entreprise societe empresa azienda
        virksomhed yritys employer arbeidsgiver""",
    "external_id": """externalid customerid customernumber customerno kundenummer kundenr kundnummer kundnr kundeid klantnummer
        klantid kundennummer contactid subscriberid memberid membernumber medlemsnummer medlemsnr lidnummer crmid recordid
        userid uniqueid leid euid persisteddataid personid personnr1 uuid personorcontactid kontaktid personnummeri contactidentifier subid hsobjectid extid brevoid contactkey subscriberkey""",
    "consent_at": """consentat consentdate dateofconsent consent optintime optindate optintimestamp confirmationtime confirmtimestamp dateadded doubleoptintime doubleoptindate activatedon registrationdate optinat confirmtime confirmedat
        subscribedat subscribedate subscriptiondate datesubscribed signupdate samtykkedato samtykke samtycke samtyckesdatum
        medgivande toestemming toestemmingsdatum datumtoestemming inschrijfdatum pameldt pameldtdato anmalningsdatum
        einwilligung datedinscription""",
    "opt_out": """unsubscribed unsubscribedat unsubscribetime optedout optout hasoptedoutofemail emailoptout unsubscribedate avmeldt
        avmeldtdato avregistrerad avregistrerat uitgeschreven afgemeld abgemeldet emailmarketingstatus subscriptionstatus
        subscriberstatus optinstatus emailblacklisted blacklisted isblocked donotcontact optoutemail emailoptedout mailstatus emailstatus unsubtime unsubscribedate unsubscribedon utmeldt avmeldingsdato""",
}
_FIELD_OF = {name: field for field, names in KNOWN.items() for name in names.split()}

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_LETTERS = str.maketrans({"æ": "ae", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "œ": "oe"})


def fold(name: str) -> str:
    """Reduce a name to plain letters and digits: "E-postadresse " and "e_postadresse" are one."""
    bare = unicodedata.normalize("NFKD", name.strip().lower().translate(_LETTERS))
    return re.sub(r"[^a-z0-9]", "", bare)


def guess(names: Sequence[str], samples: Sequence[Sequence[str]] = ()) -> list[str]:
    """Return the field of each column, "attribute" where the name says nothing, "ignore" for a column that is empty.

    Without a name that is known, the first column that holds addresses is the address.
    """
    found = [_FIELD_OF.get(fold(name), "attribute") for name in names]
    if "email" not in found:
        column = next((at for at in range(len(names)) if _holds_addresses(samples, at)), None)
        if column is not None:
            found[column] = "email"
    if {"first_name", "last_name"} <= set(found):
        found = ["attribute" if field == "full_name" else field for field in found]
    seen: set[str] = set()
    for at, field in enumerate(found):
        if field in seen - MANY:
            found[at] = "attribute"
        seen.add(field)
        if field == "attribute" and samples and not any(_cell(row, at) for row in samples) and not names[at].strip():
            found[at] = "ignore"
    return found


def _holds_addresses(samples: Sequence[Sequence[str]], at: int) -> bool:
    cells = [cell for row in samples if (cell := _cell(row, at))]
    return bool(cells) and sum(1 for cell in cells if _ADDRESS.fullmatch(cell)) * 2 > len(cells)


def _cell(row: Sequence[str], at: int) -> str:
    return row[at].strip() if at < len(row) else ""


def key_of(name: str, at: int) -> str:
    """Return the name a column's attribute has in merge fields: a word of small letters, digits and underscores."""
    word = re.sub(r"\W+", "_", unicodedata.normalize("NFC", name.strip()).lower()).strip("_")[:60]
    if not word:
        return f"column_{at + 1}"
    return word if not word[0].isdigit() else f"_{word}"


def keys_of(names: Sequence[str]) -> list[str]:
    """Return the attribute name of each column; no two are the same."""
    keys: list[str] = []
    for at, name in enumerate(names):
        key = key_of(name, at)
        keys.append(key if key not in keys else f"{key}_{at + 1}")
    return keys


def _names(kind: str) -> Mapping[str, str]:
    """Return codes by folded name, as people write them in the languages of most files."""
    codes: dict[str, str] = {}
    for tongue in ("de", "fr", "da", "fi", "nl", "sv", "nb", "en"):
        table = Locale.parse(tongue).languages if kind == "language" else Locale.parse(tongue).territories
        for code, name in table.items():
            if len(code) == 2 and code.isalpha():
                codes[fold(name)] = code
    return codes


_LANGUAGES = {**_names("language"), "norwegian": "nb", "norsk": "nb", "norska": "nb", "noors": "nb"}
_COUNTRIES = {**_names("country"), "usa": "US", "uk": "GB", "holland": "NL", "greatbritain": "GB"}
_CODES = {"no": "nb", "se": "sv", "dk": "da", "gb": "en", "uk": "en", "us": "en"}  # countries where languages are meant


def language(text: str) -> str:
    """Return the code of a language: nb for "nb-NO", "Norsk" and "no"; what is not known stays as it is."""
    folded = fold(re.split(r"[-_]", text, maxsplit=1)[0]) if re.fullmatch(r"[A-Za-z]{2,3}[-_]\w+", text) else fold(text)
    if len(folded) == 2:
        return _CODES.get(folded, folded)
    return _LANGUAGES.get(folded, text)


def country(text: str) -> str:
    """Return the code of a country (ISO 3166): NO for "Norge" and "no"; what is not known stays as it is."""
    folded = fold(text)
    return folded.upper() if len(folded) == 2 else _COUNTRIES.get(folded, text)
