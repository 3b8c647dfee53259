"""Files as other tools write them are understood: encoding, separator, heading, rows, columns."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.audience import addresses, columns, csvfile, values
from webapp.audience.checking import Checker
from webapp.audience.csvfile import SEPARATORS, Block, Encodings, Row, blocks_of, guess, lines_of, rows_of
from webapp.audience.dates import moment
from webapp.audience.rows import Plan, clean
from webapp.audience.values import Kind
from webapp.mail.addresses import parse_address

PEOPLE = "E-post;Fornavn;Etternavn;Sted\r\nåse@x.no;Åse;Bjørnstad;Tromsø\r\nzoe@x.no;Zoë;Müller;Göteborg\r\n" * 3
NAMES = st.sampled_from(
    ["Åse", "Bjørn", "Kåre", "Zoë", "François", "Märta", "Jürgen", "Ola", "Sjöberg", "Tromsø", "Liège"]
)


def detect(data: bytes, size: int = 7) -> str:
    seen = Encodings()
    for at in range(0, len(data), size):
        seen.see(data[at : at + size])
    return seen.found()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "mac-roman", "cp865"]
)
def test_the_encoding_is_found_and_the_text_comes_out_whole(encoding):
    data = PEOPLE.encode(encoding)
    assert "".join(lines_of([data[:11], data[11:]], detect(data))) == PEOPLE


def test_cyrillic_is_not_taken_for_western_letters():
    data = ("Имя;Фамилия\r\n" + "Наталья;Кузнецова\r\nСергей;Иванов\r\n" * 20).encode("cp1251")  # noqa: RUF001
    assert detect(data, 1000) == "cp1251"


@given(
    st.lists(st.tuples(NAMES, NAMES, st.integers(0, 99)), min_size=3),
    st.sampled_from(["utf-8", "cp1252", "utf-16"]),
    st.sampled_from(SEPARATORS),
)
def test_what_a_tool_writes_is_read_back(people, encoding, separator):
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator)
    rows = [
        ["E-post", "Fornavn", "By"],
        *[[f"{name}{n}@x.no", name, f'{town}{separator} "{n}"'] for name, town, n in people],
    ]
    writer.writerows(rows)
    data = written.getvalue().encode(encoding)
    text = list(lines_of([data], detect(data, 1000)))
    assert guess("".join(text)) == (separator, True)
    assert [row.cells for row in rows_of(text, separator, width=3)] == rows


@given(st.text(alphabet=st.sampled_from('ab@.,;"\n\r\t |x\0å'), max_size=200), st.sampled_from(SEPARATORS))
def test_no_text_breaks_the_reader_and_no_line_is_lost(text, separator):
    lines = list(lines_of([text.encode()], "utf-8"))
    rows = list(rows_of(lines, separator))
    assert [row.line for row in rows] == sorted({row.line for row in rows})
    assert all(1 <= row.line <= len(lines) for row in rows)


def test_a_quote_that_is_never_closed_spoils_its_own_line_only():
    text = 'a,b\n"x,1\n' + "".join(f"p{n},2\n" for n in range(500))
    rows = list(rows_of(io.StringIO(text), ",", width=2))
    assert (rows[1].line, rows[1].problem) == (2, "quote")
    assert len(rows) == 502


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (
            ["Email Address", "First Name", "Last Name", "MEMBER_RATING"],
            ["email", "first_name", "last_name", "ignore"],
        ),
        (
            ["E-postadresse", "Fornavn", "Etternavn", "Språk", "Land"],
            ["email", "first_name", "last_name", "language", "country"],
        ),
        (["E-postadress", "Förnamn", "Efternamn", "Företag"], ["email", "first_name", "last_name", "company"]),
        (["E-mailadres", "Voornaam", "Achternaam", "Taal"], ["email", "first_name", "last_name", "language"]),
        (["Mail", "Navn", "Kundenr", "E-post"], ["email", "full_name", "external_id", "attribute"]),
        (["E-Mail-Adresse", "Vorname", "Nachname", "Sprache"], ["email", "first_name", "last_name", "language"]),
        (["Adresse e-mail", "Prénom", "Nom"], ["email", "first_name", "last_name"]),
    ],
)
def test_columns_are_known_by_the_names_other_tools_use(names, fields):
    assert columns.guess(names) == fields


def test_a_column_of_addresses_is_the_address_whatever_it_is_called():
    assert columns.guess(["", "kontaktinfo"], [["Ola", "ola@x.no"], ["Kari", "kari@x.no"]]) == ["attribute", "email"]


@given(st.from_regex(r"[A-Za-z0-9_.+!'-]{1,20}@[A-Za-z0-9.-]{1,25}", fullmatch=True))
def test_what_is_accepted_quickly_is_what_the_validator_accepts(text):
    quick = addresses.check(text)
    try:
        slow = parse_address(text)
    except ValueError:
        assert quick.norm is None
    else:
        assert (quick.email, quick.norm) == (slow.email, slow.key)


@given(st.from_regex(r"[A-Za-z0-9_.-]{1,8}@[A-Za-z0-9.åøß。ï\u200b-]{1,25}", fullmatch=True))
def test_many_addresses_are_checked_as_one_is_and_as_the_validator_does(text):
    emails, norms, reasons = addresses.check_all([text])
    one = addresses.check(text)
    assert (norms[0] or None, reasons.get(0)) == (one.norm, one.reason)
    if one.norm:
        slow = parse_address(text)
        assert (emails[0], norms[0]) == (slow.email, slow.key) == (one.email, one.norm)


def test_every_broken_address_has_a_reason_in_words():
    for text in [
        "x",
        "x@",
        "@x.no",
        "a b@x.no",
        "a@b@x.no",
        "a@x",
        "a,b@x.no",
        "a..b@x.no",
        "a@-x.no",
        "(a)@x.no",
        "a" * 70 + "@x.no",
    ]:
        assert addresses.check(text).reason in addresses.REASONS


def test_a_text_that_is_no_address_lacks_the_at_sign_whatever_else_is_in_it():
    found = {
        text: addresses.check(text).reason
        for text in ("ikke en adresse", "Oslo, Norge", "ola nordmann@x.no", "a,b@x.no")
    }
    assert list(found.values()) == ["no_at", "no_at", "space", "comma"]


def test_a_cell_our_own_export_made_safe_comes_back_as_it_was():
    assert [clean(cell) for cell in ["'=1+1", "'+47 123", " Ola\u200b  Nordmann\n", "'s-Gravenhage"]] == [
        "=1+1",
        "+47 123",
        "Ola Nordmann",
        "'s-Gravenhage",
    ]


def test_dates_and_words_of_leaving_are_understood():
    assert [str(moment(text)) for text in ["2026-11-02", "2.11.2026 08:05", "2026-11-02T08:05:01Z", "11/2/2026"]] == [
        "2026-11-02 00:00:00+00:00",
        "2026-11-02 08:05:00+00:00",
        "2026-11-02 08:05:01+00:00",
        "None",
    ]


def test_a_row_is_staged_or_refused_with_its_column():
    plan = Plan(["E-post", "Navn", "Samtykke"], ["email", "full_name", "consent_at"], ["", "", ""], needs_consent=True)
    text = """ola@x.no,Nordmann, Ola,2026-11-02
ola@x.no,Ola,
ola@x.no,Ola,soon

kari@x.no,"Nordmann, Kari Åse",2.11.2026
"""
    (block,) = blocks_of(io.StringIO(text), ",", width=3)
    staged = Checker(plan).check(block)
    assert [(one.line, one.column, one.reason) for one in staged.refused] == [
        (1, None, "columns"),
        (2, "Samtykke", "consent"),
        (3, "Samtykke", "date"),
    ]
    assert staged.text.decode() == "5\tkari@x.no\tkari@x.no\tKari Åse\tNordmann\t2026-11-02T00:00:00+00:00\t{}\n"


CELLS = st.one_of(
    st.text(alphabet=st.sampled_from("ab @.,;\"'\n\r\t|=\\\0å\u200b\ufffd0129-"), max_size=12),
    st.sampled_from(["ola@x.no", "Ola@X.no", "2026-11-02", "norsk", "Norge", "x" * 300, "yes", "12", "a|b@x.no"]),
)
FIELDS = ["external_id", "email", "full_name", "language", "country", "company", "consent_at", "opt_out"]
KINDS = {"points": Kind("number"), "member": Kind("boolean"), "since": Kind("date"), "size": Kind("choice", ("S", "m"))}


@given(st.lists(st.lists(CELLS, max_size=14), max_size=8))
def test_a_block_is_checked_as_each_of_its_rows_alone(table):
    names = [*FIELDS, *KINDS, "Note"]
    plan = Plan(names, FIELDS + ["attribute"] * 5, [*names[:-1], "note"])
    checker = Checker(plan, KINDS)
    whole = checker.check(Block(range(1, len(table) + 1), table, []))
    single = [checker.check(Block([at + 1], [row], [])) for at, row in enumerate(table)]
    assert whole.text == b"".join(one.text for one in single)
    assert sorted(whole.refused) == sorted(one for each in single for one in each.refused)
    lines = whole.text.decode().split("\n")[:-1]
    assert len(lines) == whole.rows
    assert all(line.count("\t") == len(checker.columns()) - 1 for line in lines)
    for line in lines:
        json.loads(line.rsplit("\t", 1)[1].replace("\\\\", "\\"))


@given(st.text(alphabet=st.sampled_from('ab@.,;"\n\r |å'), max_size=300), st.integers(2, 9), st.integers(0, 3))
def test_blocks_hold_the_rows_that_reading_one_by_one_finds(text, size, width):
    lines = list(lines_of([text.encode()], "utf-8"))
    expected = list(rows_of(lines, ",", width=width))
    csvfile.BLOCK, before = size, csvfile.BLOCK
    try:
        blocks = list(blocks_of(lines, ",", width=width))
    finally:
        csvfile.BLOCK = before
    found = [
        Row(*row)
        for block in blocks
        for row in zip(block.lines, block.rows, strict=True)
        if any(map(str.strip, row[1]))
    ]
    found += [row for block in blocks for row in block.broken]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        (Kind("number"), "1 234,50", "1234.5"),
        (Kind("number"), "-0.50", "-0.5"),
        (Kind("number"), "007", "7"),
        (Kind("number"), "-0", "0"),
        (Kind("number"), "1,234", ""),
        (Kind("number"), "12 pcs", ""),
        (Kind("date"), "2.11.2026", '"2026-11-02"'),
        (Kind("date"), "2026-02-30", ""),
        (Kind("boolean"), "Ja", "true"),
        (Kind("boolean"), "0", "false"),
        (Kind("boolean"), "perhaps", ""),
        (Kind("choice", ("Small", "Large")), "small", '"Small"'),
        (Kind("choice", ("Small", "Large")), "Medium", ""),
        (Kind("text"), 'Bø "by"', '"Bø \\"by\\""'),
    ],
)
def test_values_of_a_kind_are_stored_in_one_way_or_not_at_all(kind, given, stored):
    assert values.literal(given, kind) == stored
