"""What columns are called in the files of other tools, in many languages, and what a column can go to."""

from webapp.words import LazyString, _l

#: What a column can go to. Those in MANY may be chosen for many columns, each other field for one.
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
    "created_at": _l("Added there on"),
    "opt_out": _l("Unsubscribed there"),
    "opt_in": _l("Subscribed there"),
    "tags": _l("Tags"),
    "json": _l("Attributes in JSON"),
    "attribute": _l("Attribute"),
    "ignore": _l("Do not import"),
}
MANY = {"attribute", "ignore", "opt_out", "opt_in", "tags", "json"}

#: Names as they stand in exports, folded (see folding.py). Those of Mailchimp, listmonk, Keila, Mautic, Brevo, SendGrid, MailerLite,
#: ActiveCampaign, HubSpot and Adobe Campaign were looked up in their code, help pages and files where those could be had; those of
#: Campaign Monitor and SuperOffice are largely from knowledge, not from files of theirs. What is measured or remembered by the
#: other tool about a person (addresses of computers, places, rates) is not imported unasked.
KNOWN: dict[str, str] = {
    "email": """email emailaddress emailaddresses mail mailaddress mailadresse epost epostadresse epostadress emailadresse
        emailadres mailadres eaddress address1email primaryemail workemail businessemail contactemail
        subscriberemail useremail emailid emailwork emailprivate emailaddress1 emailaddr emailaddressx
        recipientemail email1value personemail ssemail emailadresse1 epostprivat epostjobb epostarbete privatemail
        correo correoelectronico correio courriel adressemail adresseemail adresseelectronique adressedemessagerie
        posta indirizzoemail adreselektroniczny sahkoposti sahkopostiosoite netfang tolvupostur subscriber semail""",
    "first_name": """firstname fname first givenname forename christianname fornavn fornamn voornaam vorname prenom nombre nome
        imie etunimi fornafn mergefirstname contactfirstname subscriberfirstname kallenavn tilltalsnamn roepnaam
        sfirstname""",
    "last_name": """lastname lname last surname familyname etternavn efternamn achternaam nachname efternavn nom nomdefamille
        apellido apellidos cognome nazwisko sukunimi eftirnafn contactlastname subscriberlastname familienaam
        familienavn slastname""",
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
        confirmtimestamp doubleoptintime doubleoptindate activatedon registrationdate optinat confirmtime
        confirmedat subscribedat subscribedate subscriptiondate datesubscribed signupdate samtykkedato samtykke
        samtycke samtyckesdatum medgivande toestemming toestemmingsdatum datumtoestemming inschrijfdatum pameldt
        pameldtdato anmalningsdatum einwilligung datedinscription subscribed subscribedon datejoined joined joindate
        signuptimestamp confirmationtimestamp confirmeddate consentgiven optedinat optinconfirmed""",
    "created_at": """createdat created datecreated createdate createddate creationdate createdon dateadded addedat addedtime addedon
        dateentered recordcreated opprettet opprettetdato skapad skapaddatum aangemaakt aanmaakdatum erstellt erstelltam""",
    "opt_out": """unsubscribed unsubscribedat unsubscribetime optedout optout hasoptedoutofemail emailoptout unsubscribedate
        avmeldt avmeldtdato avregistrerad avregistrerat uitgeschreven afgemeld abgemeldet emailmarketingstatus
        subscriptionstatus subscriberstatus optinstatus emailblacklisted blacklisted isblocked donotcontact
        optoutemail emailoptedout mailstatus emailstatus unsubtime unsubscribedon utmeldt avmeldingsdato
        unsubscribedfromallemail optedoutofemailmarketinginformation cleantime blocklisted emailblocklisted
        donotemail dncemail dncreason donotcontactreason donotcontactemail nomailings nomailing ingenutsendelser
        ingautskick ingamassutskick geenmailings keinemailings status state type subscriberstate contactstatus optoutdate
        unsubscriptiondate portalunsubscribe portalbounce portalspamreport globalbounce globalunsubscribe globallyunsubscribed
        marketinginformation bounced bouncedat bouncedate hardbounced emailhardbouncereason emailhardbouncereasonenum spamreport
        complained complainedat blacklistemail iblacklistemail nolongercontact nolongercontactbyemail denylist blocklist
        deletedat""",
    "opt_in": """optin optedin emailoptin newsletter newslettersubscription nyhetsbrev nieuwsbrief acceptsmarketing acceptsemailmarketing
        emailconsent emailmarketingconsent marketingconsent emarketing emarketingconsent emarkedsforing emarknadsforing
        issubscribed subscribedtonewsletter confirmed""",
    "tags": """tags tag tagger taggar labels label etiketter emneord stikkord nokkelord trefwoorden schlagworte etiquettes
        etiquetas groups lists listnames""",
    "json": "attributes attribs data customfields customattributes metadata properties",
    "ignore": """memberrating optinip confirmip signupip confirmationip ip ipaddress latitude longitude gmtoff dstoff euid
        lastchanged unsubcampaigntitle unsubcampaignid cleancampaigntitle cleancampaignid smsblacklisted
        smsblocklisted sent opens opened clicks clicked openrate clickrate updatedat modifiedtime modifiedat lastmodified
        lastmodifieddate datemodified modifieddate""",
}
FIELD_OF = {name: field for field, names in KNOWN.items() for name in names.split()}

#: Names that mean something else as often: believed only where the cells agree.
DOUBTFUL = {
    *("subscriber", "subscribed", "status", "state", "type", "bounced", "deletedat", "marketinginformation"),
    *KNOWN["opt_in"].split(),
    *KNOWN["json"].split(),
}
