"""What columns are called in the files of other tools, in many languages, and what a column can go to."""

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
    "tags": _l("Tags"),
    "attribute": _l("Attribute"),
    "ignore": _l("Do not import"),
}
MANY = {"attribute", "ignore"}

#: Names as they stand in exports, folded (see `columns.fold`). Those of Mailchimp, listmonk, Keila, Brevo, SendGrid, MailerLite,
#: ActiveCampaign and HubSpot were looked up in their code, help pages and files where those could be had; those of Campaign
#: Monitor, Mautic and SuperOffice are largely from knowledge, not from files of theirs. What is measured or remembered by the
#: other tool about a person (addresses of computers, places, rates) is not imported unasked.
KNOWN: dict[str, str] = {
    "email": """email emailaddress emailaddresses mail mailaddress mailadresse epost epostadresse epostadress emailadresse
        emailadres mailadres eaddress address1email primaryemail workemail businessemail contactemail
        subscriberemail useremail emailid emailwork emailprivate emailaddress1 emailaddr emailaddressx
        recipientemail email1value personemail ssemail emailadresse1 epostprivat epostjobb epostarbete privatemail
        correo correoelectronico correio courriel adressemail adresseemail adresseelectronique adressedemessagerie
        posta indirizzoemail adreselektroniczny sahkoposti sahkopostiosoite netfang tolvupostur subscriber""",
    "first_name": """firstname fname first givenname forename christianname fornavn fornamn voornaam vorname prenom nombre nome
        imie etunimi fornafn mergefirstname contactfirstname subscriberfirstname kallenavn tilltalsnamn roepnaam""",
    "last_name": """lastname lname last surname familyname etternavn efternamn achternaam nachname efternavn nom nomdefamille
        apellido apellidos cognome nazwisko sukunimi eftirnafn contactlastname subscriberlastname familienaam
        familienavn""",
    "full_name": """name fullname navn namn naam contactname displayname fulltnavn fullstandigtnavn fullstandigtnamn
        volledigenaam kontaktperson kontakt contact contactperson subscribername kundenavn nomcomplet nombrecompleto
        nafn nimi""",
    "language": """language lang languagecode locale preferredlanguage preferredlocale sprak spraak sprakkode sprog taal taalcode sprache
        langue idioma lingua kieli tungumal sprakkod correspondencelanguage""",
    "country": """country countrycode countryregion land landkode landcode landskod pays pais paese maa nation countryname
        addresscountry mailingcountry billingcountry cc""",
    "company": """company companyname organization organisation organisationname account accountname firma firmanavn bedrift
        bedriftsnavn foretag foretagsnamn bedrijf bedrijfsnaam firmenname unternehmen entreprise societe empresa
        azienda virksomhed yritys employer arbeidsgiver associatedcompany primarycompany""",
    "external_id": """externalid customerid customernumber customerno kundenummer kundenr kundnummer kundnr kundeid klantnummer
        klantid kundennummer contactid subscriberid memberid membernumber medlemsnummer medlemsnr lidnummer crmid
        recordid userid uniqueid leid persisteddataid personid personnr1 uuid personorcontactid kontaktid
        personnummeri contactidentifier subid hsobjectid extid brevoid contactkey subscriberkey recordidcontact
        anonymousid""",
    "consent_at": """consentat consentdate dateofconsent consent optintime optindate optintimestamp confirmationtime
        confirmtimestamp dateadded doubleoptintime doubleoptindate activatedon registrationdate optinat confirmtime
        confirmedat subscribedat subscribedate subscriptiondate datesubscribed signupdate samtykkedato samtykke
        samtycke samtyckesdatum medgivande toestemming toestemmingsdatum datumtoestemming inschrijfdatum pameldt
        pameldtdato anmalningsdatum einwilligung datedinscription subscribed subscribedon datejoined joined joindate
        addedtime signuptimestamp confirmationtimestamp confirmeddate consentgiven optedinat optinconfirmed""",
    "opt_out": """unsubscribed unsubscribedat unsubscribetime optedout optout hasoptedoutofemail emailoptout unsubscribedate
        avmeldt avmeldtdato avregistrerad avregistrerat uitgeschreven afgemeld abgemeldet emailmarketingstatus
        subscriptionstatus subscriberstatus optinstatus emailblacklisted blacklisted isblocked donotcontact
        optoutemail emailoptedout mailstatus emailstatus unsubtime unsubscribedon utmeldt avmeldingsdato
        unsubscribedfromallemail optedoutofemailmarketinginformation cleantime blocklisted emailblocklisted
        donotemail dncemail nomailings nomailing ingenutsendelser ingautskick ingamassutskick geenmailings
        keinemailings status state type subscriberstate contactstatus""",
    "tags": """tags tag tagger taggar labels label etiketter emneord stikkord nokkelord trefwoorden schlagworte etiquettes
        etiquetas""",
    "ignore": """memberrating optinip confirmip signupip confirmationip ip ipaddress latitude longitude gmtoff dstoff euid
        lastchanged unsubcampaigntitle unsubcampaignid cleancampaigntitle cleancampaignid smsblacklisted
        smsblocklisted sent opens opened clicks clicked openrate clickrate""",
}
FIELD_OF = {name: field for field, names in KNOWN.items() for name in names.split()}

#: Names that mean something else as often: believed only where the cells agree.
DOUBTFUL = {"subscriber", "subscribed", "status", "state", "type"}

_GONE_WORDS = """unsubscribed unsubscribe avmeldt avregistrerad uitgeschreven afgemeld abgemeldet desabonne desinscrit cleaned
    bounced hardbounced hardbounce unreachable complained complaint spamcomplaint spam junk optedout optout nonsubscribed
    inactive disabled blocklisted blocked blacklisted deleted suppressed withdrawn unconfirmed notconfirmed pending
    transactional invalid never yes true on 1 ja oui"""
_STAYS_WORDS = """subscribed no false off 0 nei nej nee non active enabled aktiv actief pameldt confirmed optedin doubleoptin
    mailable"""
#: Words that say "not subscribed (any more)" in a column of that meaning: also of somebody who never confirmed it.
GONE = set(_GONE_WORDS.split())
STAYS = {"", *_STAYS_WORDS.split()}
