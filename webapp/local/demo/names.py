# ruff: noqa: RUF001 - names are written in the letters of their languages
"""Invented people's names, towns and mail houses by country. A name in other letters has a form for addresses: 名/form."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Country:
    """Where some of the people live: their share in a thousand, and what they can be called."""

    code: str
    language: str
    share: int
    houses: tuple[str, ...]  # mail domains, all below the reserved name `example`
    first: tuple[str, ...]
    last: tuple[str, ...]
    towns: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


COUNTRIES = (
    Country(
        "NO",
        "nb",
        210,
        ("nordpost.example", "fjordmail.example", "epost.no.example"),
        _words(
            "Ingrid Kari Åse Øystein Bjørn Håkon Sigrid Tore Liv Geir Solveig Magnus Astrid Jørgen Marte Eirik Ragnhild "
            "Sverre Torunn Pål Hilde Olav Guro Terje Synnøve Kåre Máret Nils-Aslak"
        ),
        _words(
            "Hansen Johansen Olsen Larsen Andersen Nilsen Bakke Haugen Hagen Moen Strand Lunde Solberg Berg Dahl Lie "
            "Bø Ås Ødegård Sæther Kvåle Bjørnstad Nygård Utsi Røed Hætta"
        ),
        _listed("Oslo, Bergen, Trondheim, Tromsø, Stavanger, Bodø, Ålesund, Hamar, Alta, Førde"),
    ),
    Country(
        "SE",
        "sv",
        150,
        ("brevbox.example", "norrmail.example", "posten.se.example"),
        _words(
            "Anna Erik Åsa Lars Karin Björn Elin Göran Märta Sven Malin Öjvind Linnéa Anders Ebba Håkan Ylva Stig Sofia "
            "Mårten Kerstin Joakim"
        ),
        _words(
            "Andersson Johansson Karlsson Nilsson Eriksson Lindström Sjöberg Åkesson Öberg Ström Löfgren Hägg Norén "
            "Björklund Lundqvist Nyström Sandberg Källström"
        ),
        _listed("Stockholm, Göteborg, Malmö, Umeå, Östersund, Örebro, Luleå, Växjö, Uppsala"),
    ),
    Country(
        "NL",
        "nl",
        140,
        ("polderpost.example", "brievenbus.example", "mail.nl.example"),
        _words(
            "Sanne Daan Fleur Bram Lotte Thijs Anouk Joris Femke Ruben Maaike Sjoerd Noor Teun Iris Zoë Renée Jeroen "
            "Carlijn Pieter"
        ),
        _listed(
            "de Vries, van den Berg, Bakker, Visser, Smit, Mulder, de Boer, Bos, van Dijk, Hoekstra, Dekker, van ’t Hof, Brouwer, Kuipers, ten Brink, Postma, Veenstra, Groot"
        ),
        _listed("Amsterdam, Utrecht, Groningen, Rotterdam, Leeuwarden, Zwolle, ’s-Hertogenbosch, Maastricht"),
    ),
    Country(
        "DE",
        "de",
        100,
        ("briefkasten.example", "bücher.example", "post.de.example"),
        _words(
            "Jürgen Käthe Lukas Hannah Björn Sören Grete Matthias Ömer Anneliese Jörg Franziska Uwe Heike Moritz Zoé Günter"
        ),
        _words(
            "Müller Schröder Weiß Krüger Schäfer Köhler Böhm Groß Jäger Fuchs Vogt Straßer Lübke Hübner Kraus Yıldız"
        ),
        _listed("Berlin, München, Köln, Lübeck, Würzburg, Düsseldorf, Görlitz, Freiburg"),
    ),
    Country(
        "GB",
        "en",
        80,
        ("postbox.example", "hillmail.example", "example.org"),
        _words(
            "Oliver Amelia Harry Isla George Ava Freya Rhys Siân Niamh Callum Priya Zara Owain Imogen Desmond Chloë"
        ),
        _listed(
            "Smith, Jones, O’Brien, Taylor, MacLeod, Ó Súilleabháin, Patel, Brontë, Hughes, Llewellyn, Walker, Campbell, Okafor, Singh, Whitlock"
        ),
        _listed("London, Leeds, Cardiff, Edinburgh, Keswick, Belfast, Inverness, Sheffield"),
    ),
    Country(
        "PL",
        "pl",
        70,
        ("poczta.example", "wisla.example"),
        _words(
            "Łukasz Małgorzata Paweł Agnieszka Krzysztof Żaneta Michał Grażyna Stanisław Zofia Święcisława Rafał Bożena"
        ),
        _words("Nowak Wiśniewski Wójcik Kamiński Zieliński Dąbrowska Wróbel Łuczak Gębski Żak Pawłowska Śliwa"),
        _listed("Warszawa, Kraków, Łódź, Gdańsk, Zakopane, Poznań, Białystok"),
    ),
    Country(
        "FR",
        "fr",
        60,
        ("courriel.example", "montagne.example"),
        _words("Élise François Chloé Jérôme Zoé Benoît Maëlle Gaël Hélène Noël Inès Loïc Céline Théo Aïcha"),
        (
            "Lefèvre",
            "Martin",
            "Bérenger",
            "Dupré",
            "Girard",
            "d’Hérouville",
            "Noël",
            "Gauthier",
            "Benoît",
            "Mbaye",
            "Le Goff",
        ),
        _listed("Paris, Lyon, Grenoble, Chamonix, Orléans, Besançon, Saint-Étienne"),
    ),
    Country(
        "ES",
        "es",
        50,
        ("correo.example", "sierra.example"),
        _words("José María Íñigo Begoña Ángel Lucía Andrés Núria Óscar Sofía Jesús Itziar Martín"),
        ("García", "Núñez", "Ibáñez", "Peña", "Gutiérrez", "López", "Ordóñez", "Etxeberria", "Muñoz", "de la Fuente"),
        _listed("Madrid, Barcelona, Logroño, Cádiz, A Coruña, Málaga"),
    ),
    Country(
        "TR",
        "tr",
        40,
        ("posta.example", "dagmail.example"),
        _words("Ayşe Çağla Gökhan İbrahim Şule Özgür Ümit Ilgın Yiğit Büşra Doğan Işıl"),
        _words("Yılmaz Şahin Çelik Öztürk Aydın Güneş Kılıç Doğru Işık Bağcı"),
        _listed("İstanbul, Ankara, İzmir, Eskişehir, Muğla, Diyarbakır"),
    ),
    Country(
        "GR",
        "el",
        30,
        ("grammata.example",),
        _words(
            "Γιώργος/giorgos Ελένη/eleni Νίκος/nikos Άννα/anna Θεόδωρος/theodoros Ζωή/zoi Μαρία/maria Ιωάννης/ioannis"
        ),
        _words("Παπαδόπουλος/papadopoulos Γεωργίου/georgiou Νικολάου/nikolaou Οικονόμου/oikonomou Χατζή/chatzi"),
        _listed("Αθήνα, Θεσσαλονίκη, Πάτρα, Ιωάννινα"),
    ),
    Country(
        "VN",
        "vi",
        20,
        ("thu.example",),
        _words("Ánh Bình Đức Hương Ngọc Phúc Quỳnh Thảo Trường Vũ Yến Mỹ"),
        _words("Nguyễn Trần Lê Phạm Đặng Bùi Đỗ Hồ Võ"),
        _listed("Hà Nội, Đà Nẵng, Huế, Cần Thơ"),
    ),
    Country(
        "EG",
        "ar",
        20,
        ("bareed.example",),
        _words("محمد/mohamed فاطمة/fatima أحمد/ahmed ليلى/layla يوسف/youssef مريم/maryam خالد/khaled نور/nour"),
        _words("حسن/hassan السيد/elsayed إبراهيم/ibrahim منصور/mansour عبدالله/abdallah"),
        _listed("القاهرة, الإسكندرية, أسوان"),
    ),
    Country(
        "JP",
        "ja",
        20,
        ("yubin.example",),
        _words("花子/hanako 太郎/taro さくら/sakura 健一/kenichi 美咲/misaki 翔太/shota 陽菜/hina 大輔/daisuke"),
        _words("佐藤/sato 鈴木/suzuki 高橋/takahashi 田中/tanaka 渡辺/watanabe 伊藤/ito 山本/yamamoto"),
        _listed("東京, 札幌, 京都, 長野"),
    ),
    Country(
        "UA",
        "uk",
        10,
        ("lyst.example",),
        _words("Олена/olena Тарас/taras Ірина/iryna Андрій/andrii Їжакевич/izhak Софія/sofiia"),
        _words("Шевченко/shevchenko Коваленко/kovalenko Ткачук/tkachuk Гончар/honchar"),
        _listed("Київ, Львів, Харків"),
    ),
)

COMPANIES = _words("Nordlys Havgull Bergtind Vinterro Snøfall Granskog Isbre Fjellrev Polaris Tundra Lavvo Rein")
