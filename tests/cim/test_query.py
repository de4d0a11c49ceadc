"""The query languages: what matches, what is unknown, and what is refused with which words."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

import pytest
import pywbem

from agent.cim.query import LANGUAGES, Query, QueryError, Value, parse
from agent.cim.query.patterns import PatternError, regular_expression, wildcards
from agent.cim.query.references import parsed
from agent.cim.query.values import compared, temporal
from agent.cim.status import Status

ABOVE = {
    "test_guest": ("test_guest", "cim_computersystem", "cim_system"),
    "cim_computersystem": ("cim_computersystem", "cim_system"),
}


@dataclass
class Thing:
    """An instance in memory."""

    classname: str
    values: dict[str, Value] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        return {k.lower(): v for k, v in self.values.items()}[name.lower()]

    def is_a(self, name: str) -> bool:
        return name.lower() in ABOVE.get(self.classname.lower(), (self.classname.lower(),))


PATH = pywbem.CIMInstanceName("Test_Guest", keybindings={"Name": "web", "Number": 3}, namespace="root/virtmap")
STARTED = datetime(2026, 11, 27, 14, 0, 0, 250_000, tzinfo=UTC)
GUEST = Thing(
    "Test_Guest",
    {
        "Name": "web",
        "Title": "Web server",
        "EnabledState": 2,
        "Load": 0.5,
        "Active": True,
        "Note": None,
        "Order": 7,
        "Like": "keyword",
        "Text5": "5",
        "OperationalStatus": (2, 15),
        "Roles": ("front", "cache"),
        "Nothing": (),
        "Holes": (1, None),
        "Started": STARTED,
        "Since": "20260101000000.000000+000",
        "Uptime": timedelta(days=2, hours=1),
        "Antecedent": PATH,
    },
)
BEFORE = Thing("Test_Guest", {**GUEST.values, "EnabledState": 3, "OperationalStatus": (2,)})
CHANGE = Thing(
    "CIM_InstModification",
    {"SourceInstance": GUEST, "PreviousInstance": BEFORE, "All": (GUEST, BEFORE), "IndicationIdentifier": "7"},
)


def wql(where: str, subject: Thing = GUEST) -> bool:
    return parse("WQL", f"SELECT * FROM {subject.classname} WHERE {where}").matches(subject)


def cql(where: str, subject: Thing = GUEST) -> bool:
    return parse("DMTF:CQL", f"SELECT * FROM {subject.classname} WHERE {where}").matches(subject)


def fql(where: str, subject: Thing = GUEST) -> bool:
    return parse("DMTF:FQL", where).matches(subject)


def refusal(language: str, text: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        parse(language, text)
    return caught.value


ASKED = {"WQL": wql, "CQL": cql, "FQL": fql}

ALIKE = [
    ("Name = 'web'", True),
    ("Name = 'WEB'", False),
    ('name = "web"', True),
    ("NAME <> 'db'", True),
    ("Name < 'x'", True),
    ("EnabledState = 2", True),
    ("enabledstate = 0x02", True),
    ("EnabledState <> 3", True),
    ("EnabledState < 2", False),
    ("EnabledState <= 2", True),
    ("EnabledState > -1", True),
    ("EnabledState >= +2", True),
    ("2 = EnabledState", True),
    ("3 > EnabledState", True),
    ("EnabledState = 2.0", True),
    ("EnabledState = 002", True),
    ("Load = .5", True),
    ("Load < 1e3", True),
    ("Active = TRUE", True),
    ("Active <> true", False),
    ("Active = False", False),
    ("Name = 'web' AND EnabledState = 3", False),
    ("Name = 'web' OR EnabledState = 3", True),
    ("Name = 'db' OR Name = 'web' AND EnabledState = 3", False),
    ("(Name = 'db' OR Name = 'web') AND EnabledState = 2", True),
    ("Name = 'web' OR Name = 'db' AND EnabledState = 3", True),
    ("NOT EnabledState = 3", True),
    ("not not EnabledState = 3", False),
    ("NOT (Name = 'web' AND EnabledState = 2)", False),
    ("Note IS NULL", True),
    ("Note IS NOT NULL", False),
    ("Name IS NOT NULL", True),
    ("Missing IS NULL", True),
    ("Since < Started", True),
    ("NOT Note IS NULL", False),
    ("Title LIKE 'Web server'", True),
    ("Title NOT LIKE 'Web'", True),
    ("Started = '20261127140000.250000+000'", True),
    ("Started = '20261127150000.250000+060'", True),
    ("Started > '20260101000000.000000-120'", True),
    ("'20260101000000.000000+000' > Started", False),
    ("Uptime = '00000002010000.000000:000'", True),
    ("Uptime < '00000003000000.000000:000'", True),
    ("Order = 7", True),
    ("Name = Name", True),
    ("EnabledState = Load", False),
    ("EnabledState > Load", True),
    ("Antecedent = 'Test_Guest.Number=3,Name=\"web\"'", True),
    ("Antecedent = '//host:5989/root/virtmap:test_guest.name=\"web\",number=3'", True),
    ("Antecedent = '/root/other:Test_Guest.Name=\"web\",Number=3'", False),
    ("Antecedent <> 'Test_Guest.Number=4,Name=\"web\"'", True),
    ("Antecedent = Antecedent", True),
]


@pytest.mark.parametrize("language", ASKED)
@pytest.mark.parametrize(("where", "expected"), ALIKE)
def test_what_the_languages_have_in_common(language: str, where: str, expected: bool) -> None:
    assert ASKED[language](where) is expected


UNKNOWN = [
    "Note = 'x'",
    "Note <> 'x'",
    "Missing = 1",
    "Name = TRUE",
    "Antecedent < 'Test_Guest.Number=4'",
    "Note LIKE 'x'",
    "Missing LIKE 'x'",
    "EnabledState LIKE '2'",
    "OperationalStatus < OperationalStatus",
]


@pytest.mark.parametrize("language", ASKED)
@pytest.mark.parametrize("where", UNKNOWN)
def test_what_is_unknown_matches_neither_itself_nor_its_negation(language: str, where: str) -> None:
    assert not ASKED[language](where)
    assert not ASKED[language](f"NOT {where}")
    assert ASKED[language](f"{where} OR Name = 'web'")
    assert not ASKED[language](f"{where} AND Name = 'web'")
    assert not ASKED[language](f"NOT ({where} OR Name = 'db')")
    assert ASKED[language](f"NOT ({where} AND Name = 'db')")


@pytest.mark.parametrize("ask", [cql, fql])
@pytest.mark.parametrize(
    "where", ["Name = 5", "Text5 = 5", "EnabledState = '2'", "OperationalStatus = 2", "Active = 1"]
)
def test_other_types_are_unknown_in_cql_and_fql(ask: object, where: str) -> None:
    assert callable(ask)
    assert not ask(where)
    assert not ask(f"NOT {where}")


# WQL


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("EnabledState = '2'", True),
        ('EnabledState > "1"', True),
        ("EnabledState = 'two'", False),
        ("EnabledState <> 'two'", False),
        ("Text5 = 5", True),
        ("Text5 < 5.5", True),
        ("Name = 5", False),
        ("Active = 'true'", True),
        ("Active = 1", True),
        ("Active = 0", False),
        ("Active <> 0", True),
        ("Name != 'db'", True),
        ("OperationalStatus = 15", True),
        ("OperationalStatus = 3", False),
        ("OperationalStatus <> 2", True),
        ("OperationalStatus = '2'", True),
        ("EnabledState = OperationalStatus", True),
        ("EnabledState = '1e999'", False),
        ("Roles LIKE 'fr%'", True),
        ("Roles = 'cache'", True),
        ("Note = NULL", True),
        ("Name <> NULL", True),
        ("NULL = Note", True),
        ("Active IS TRUE", True),
        ("Active IS NOT FALSE", True),
        ("Note IS NOT TRUE", True),
        ("Title LIKE 'Web%'", True),
        ("Title LIKE '%server'", True),
        ("Title LIKE '%ser%'", True),
        ("Title LIKE 'W_b%'", True),
        ("Title LIKE '[U-X]eb %'", True),
        ("Title LIKE '[^U-X]eb %'", False),
        ("Title LIKE 'web%'", False),
        ("NOT Title LIKE 'db%'", True),
        ("Test_Guest.EnabledState = 2", True),
        ("__CLASS = 'TEST_GUEST'", True),
        ("__CLASS LIKE 'Test%'", True),
        ('__THIS ISA "CIM_System"', True),
        ("__THIS ISA CIM_ComputerSystem", True),
        ("NOT __THIS ISA 'CIM_Process'", True),
        ("__THIS.Name = 'web'", True),
        ("Antecedent ISA Test_Guest", True),
        ("Antecedent ISA Other", False),
    ],
)
def test_wql_asks_as_clients_of_windows_do(where: str, expected: bool) -> None:
    assert wql(where) is expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("SourceInstance ISA 'CIM_ComputerSystem'", True),
        ("SourceInstance ISA CIM_ComputerSystem AND SourceInstance.EnabledState = 2", True),
        ("SourceInstance ISA CIM_Process", False),
        ("NOT SourceInstance ISA CIM_Process", True),
        ("SourceInstance NOT ISA CIM_Process", True),
        ("SourceInstance.EnabledState <> PreviousInstance.EnabledState", True),
        ("CIM_InstModification.SourceInstance.Name = 'web'", True),
        ("SourceInstance.OperationalStatus <> PreviousInstance.OperationalStatus", True),
        ("SourceInstance.Missing = 1", False),
        ("Missing.Name = 'web'", False),
        ("Missing.Name IS NULL", True),
        ("All ISA CIM_ComputerSystem", True),
    ],
)
def test_embedded_instances(where: str, expected: bool) -> None:
    assert wql(where, CHANGE) is expected
    assert cql(where, CHANGE) is expected


def test_wql_compares_the_class_of_an_embedded_instance() -> None:
    assert wql("SourceInstance.__CLASS = 'test_guest'", CHANGE)


def test_a_backslash_in_wql_escapes_only_quotes_and_itself() -> None:
    subject = Thing("C", {"File": "C:\\temp\\new", "Said": "it's"})
    assert wql(r"File = 'C:\\temp\\new'", subject)
    assert wql(r"File = 'C:\temp\new'", subject)
    assert wql(r"Said = 'it\'s'", subject)
    assert wql('Said = "it\'s"', subject)


def test_strings_of_cql_and_fql_have_the_escapes_of_mof() -> None:
    subject = Thing("C", {"Text": "a\tb'\\\N{EURO SIGN}"})
    for ask in (cql, fql):
        assert ask(r"Text = 'a\tb\'\\\u20AC'", subject)


def test_a_statement_of_wql_tells_its_class_its_properties_and_what_it_reads() -> None:
    query = parse(
        "wql",
        "select Name, Test_Guest.EnabledState, NAME, SourceInstance.Name, __PATH\nfrom Test_Guest within 10 "
        "where Name = 'web' and SourceInstance.EnabledState = 2 and __CLASS = 'x' and Test_Guest.Load > 1 and Load = 2",
    )
    assert query.language == "WQL"
    assert query.source == "Test_Guest"
    assert query.properties == ("Name", "EnabledState", "SourceInstance")
    assert query.names == {"name", "sourceinstance", "load"}


def test_a_statement_without_where_matches_all() -> None:
    for language in ("WQL", "DMTF:CQL"):
        query = parse(language, "SELECT * FROM CIM_X")
        assert query.properties is None
        assert query.names == frozenset()
        assert query.matches(GUEST)


def test_all_properties_of_the_class_are_all() -> None:
    assert parse("WQL", "SELECT Name, CIM_X.* FROM CIM_X").properties is None
    assert parse("DMTF:CQL", "SELECT *, Name FROM CIM_X").properties is None
    assert parse("DMTF:CQL", "SELECT x.* FROM CIM_X AS x").properties is None


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("ASSOCIATORS OF {CIM_X.Name='a'} WHERE ResultClass = CIM_Y", "ASSOCIATORS OF"),
        ("REFERENCES OF {CIM_X.Name='a'}", "REFERENCES OF"),
        ("SELECT * FROM meta_class WHERE __THIS ISA 'CIM_X'", "meta_class"),
        ("SELECT * FROM CIM_X, CIM_Y", "several classes"),
        ("SELECT * FROM CIM_X WHERE a = 1 GROUP BY a", "GROUP"),
        ("SELECT * FROM CIM_X ORDER BY a", "ORDER"),
        ("SELECT COUNT(*) FROM CIM_X", "function"),
        ("SELECT DISTINCT Name FROM CIM_X", "DISTINCT"),
        ("SELECT TOP 5 * FROM CIM_X", "TOP"),
        ("SELECT * FROM CIM_X WHERE a IN (1, 2)", "IN"),
        ("SELECT * FROM CIM_X WHERE a BETWEEN 1 AND 2", "BETWEEN"),
        ("SELECT * FROM CIM_X WHERE a = (SELECT b FROM CIM_Y)", "query within"),
        ("SELECT * FROM CIM_X WHERE (SELECT b FROM CIM_Y) = 1", "query within"),
        ("SELECT * FROM CIM_X WHERE __PATH = 'x'", "__PATH"),
        ("SELECT * FROM CIM_X WHERE a + 1 = 2", "arithmetic"),
        ("SELECT * FROM CIM_X WHERE a LIKE b", "LIKE"),
    ],
)
def test_features_of_wql_that_are_not_had_are_named(text: str, feature: str) -> None:
    error = refusal("WQL", text)
    assert error.status is Status.QUERY_FEATURE_NOT_SUPPORTED
    assert feature in error.description


# CQL


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("SourceInstance.CIM_ComputerSystem::EnabledState = 2", True),
        ("SourceInstance.CIM_Process::EnabledState = 2", False),
        ("SourceInstance.CIM_Process::EnabledState IS NULL", True),
        ("CIM_InstModification::IndicationIdentifier = '7'", True),
        ("CIM_InstModification.CIM_InstModification::IndicationIdentifier = '7'", True),
        (
            "SourceInstance ISA CIM_ComputerSystem AND SourceInstance.CIM_ComputerSystem::EnabledState <> "
            "PreviousInstance.CIM_ComputerSystem::EnabledState",
            True,
        ),
        ("ANY SourceInstance.OperationalStatus = 15", True),
        ("15 = ANY SourceInstance.OperationalStatus", True),
        ("EVERY SourceInstance.OperationalStatus > 1", True),
        ("5 > EVERY SourceInstance.OperationalStatus", False),
        ("SourceInstance.OperationalStatus[1] = 15", True),
        ("SourceInstance.OperationalStatus[2] = 15", False),
        ("All[1].EnabledState = 3", True),
        ("CIM_InstModification ISA CIM_InstModification", True),
        ("CLASSNAME(SourceInstance) = 'TEST_guest'", True),
        ("'cim_instmodification' = CLASSNAME()", True),
        ("UPPERCASE(SourceInstance.Name) = 'WEB'", True),
        ("UPPERCASE(SourceInstance.EnabledState) = '2'", False),
        ("SourceInstance.Name || '-' || SourceInstance.Text5 = 'web-5'", True),
        ("SourceInstance.Name || SourceInstance.Note = 'web'", False),
        ("STRINGTONUMERIC(IndicationIdentifier) > 6", True),
        ("StringToUint('0x10') = 16", True),
        ("STRINGTOSINT('-101b') = -5", True),
        ("STRINGTOREAL('.5e1') = 5", True),
        ("STRINGTOUINT('-1') IS NULL", True),
        ("STRINGTOUINT('a22') IS NULL", True),
        ("STRINGTOREAL('0121b') IS NULL", True),
        ("STRINGTOUINT(SourceInstance.EnabledState) IS NULL", True),
        ("NUMERICTOSTRING(SourceInstance.EnabledState) = '2'", True),
        ("NUMERICTOSTRING(SourceInstance.Name) IS NULL", True),
        ("DATETIMETOMICROSECOND(5) IS NULL", True),
        ("MICROSECONDTOTIMESTAMP('x') IS NULL", True),
        ("MICROSECONDTOTIMESTAMP(1) IS NULL", True),
        ("MICROSECONDTOINTERVAL(99999999999999999999999) IS NULL", True),
        ("CURRENTDATETIME() > DATETIME('20200101000000.000000+000')", True),
        ("SourceInstance.Started < DATETIME('20270101000000.000000+000')", True),
        ("DATETIMETOMICROSECOND(DATETIME('20040811105625.000000-360')) = 63259462585000000", True),
        ("DATETIMETOMICROSECOND(SourceInstance.Uptime) = 176400000000", True),
        ("MICROSECONDTOTIMESTAMP(63259462585000000) = '20040811165625.000000+000'", True),
        ("MICROSECONDTOINTERVAL(1000000) < SourceInstance.Uptime", True),
        ("SourceInstance.Active", True),
        ("NOT SourceInstance.Active", False),
        ("SourceInstance.Active AND IndicationIdentifier = '7'", True),
    ],
)
def test_cql_asks_as_filters_of_indications_do(where: str, expected: bool) -> None:
    assert cql(where, CHANGE) is expected


def test_a_statement_of_cql_tells_its_class_its_properties_and_what_it_reads() -> None:
    query = parse(
        "CIM:CQL",
        "SELECT OBJECTPATH(i.SourceInstance) AS Path, SourceInstance.CIM_ComputerSystem::EnabledState, i.IndicationTime, "
        "CIM_InstModification::Description, PreviousInstance.*, CLASSPATH() FROM CIM_InstModification AS i "
        "WHERE i.SourceInstance ISA CIM_X AND CIM_Other::Caption = 'x' AND i::Summary = 'y' AND i ISA CIM_Y",
    )
    assert query.language == "DMTF:CQL"
    assert query.source == "CIM_InstModification"
    assert query.properties == ("SourceInstance", "IndicationTime", "Description", "PreviousInstance")
    assert query.names == {"sourceinstance", "summary"}


def test_an_alias_needs_no_as() -> None:
    assert parse("DMTF:CQL", "SELECT * FROM Test_Guest g WHERE g.Name = 'web'").matches(GUEST)


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("SELECT DISTINCT Name FROM CIM_X", "DISTINCT"),
        ("SELECT FIRST 5 Name FROM CIM_X", "FIRST"),
        ("SELECT * FROM CIM_X, CIM_Y", "join"),
        ("SELECT * FROM CIM_X a, CIM_Y b WHERE a.Name = b.Name", "join"),
        ("SELECT * FROM CIM_X AS x JOIN CIM_Y", "join"),
        ("SELECT * FROM (SELECT * FROM CIM_Y)", "query within"),
        ("SELECT * FROM root/cimv2:CIM_X", "namespace"),
        ("SELECT * FROM 'root/cimv2':CIM_X", "namespace"),
        ("SELECT * FROM CIM_X WHERE a = 1 ORDER BY a", "ORDER BY"),
        ("SELECT * FROM CIM_X FIRST 5", "FIRST"),
        ("SELECT COUNT(Name) FROM CIM_X", "COUNT"),
        ("SELECT a + 1 FROM CIM_X", "expression"),
        ("SELECT 'a' FROM CIM_X", "literal"),
        ("SELECT CIM_X.State#'Enabled' FROM CIM_X", "symbolic"),
        ("SELECT * FROM CIM_X WHERE State = #'Enabled'", "symbolic"),
        ("SELECT * FROM CIM_X WHERE CIM_X.State#'Enabled' = 2", "symbolic"),
        ("SELECT * FROM CIM_X WHERE OBJECTPATH() = 'x'", "OBJECTPATH"),
        ("SELECT * FROM CIM_X WHERE MAX(a) = 1", "MAX"),
        ("SELECT * FROM CIM_X WHERE a * 2 = 1", "arithmetic"),
        ("SELECT * FROM CIM_X WHERE ANY x IN States SATISFIES (x = 2)", "IN"),
        ("SELECT * FROM CIM_X WHERE a[0..3] = 1", "brackets"),
        ("SELECT * FROM CIM_X WHERE a[*] = 1", "brackets"),
        ("SELECT * FROM CIM_X WHERE a ISA root/x:CIM_Y", "namespace"),
    ],
)
def test_features_of_cql_that_are_not_had_are_named(text: str, feature: str) -> None:
    error = refusal("DMTF:CQL", text)
    assert error.status is Status.QUERY_FEATURE_NOT_SUPPORTED
    assert feature in error.description


# FQL


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Note = NULL", True),
        ("Name <> NULL", True),
        ("OperationalStatus = {2, 15}", True),
        ("OperationalStatus = {15, 2}", False),
        ("OperationalStatus <> {2}", True),
        ("Nothing = {}", True),
        ("Holes = {1, NULL}", True),
        ("Roles = {'front', 'cache'}", True),
        ("ANY OperationalStatus = 15", True),
        ("NOT ANY OperationalStatus = 15", False),
        ("EVERY OperationalStatus > 1", True),
        ("NOT EVERY OperationalStatus > 2", True),
        ("ANY Nothing = 1", False),
        ("EVERY Nothing = 1", True),
        ("ANY Holes = 1", True),
        ("ANY Holes = 2", False),
        ("NOT ANY Holes = 2", False),
        ("EVERY Holes = 1", False),
        ("EVERY Holes = 2", False),
        ("NOT EVERY Holes = 2", True),
        ("ANY EnabledState = 2", False),
        ("ANY Roles LIKE 'ca.*'", True),
        ("EVERY Roles LIKE '.*(a|o).*'", True),
        ("ANY Roles NOT LIKE 'x'", True),
        ("OperationalStatus[0] = EnabledState", True),
        ("EnabledState = 10B", True),
        ("ANY OperationalStatus = EnabledState", True),
        ("Title LIKE 'Web.*'", True),
        ("Title LIKE 'Web'", False),
        ("Title LIKE '^Web.*$'", True),
        ("Title LIKE '[A-Z]eb +server'", True),
        ("Like = 'keyword'", None),
    ],
)
def test_fql_asks_as_filters_of_pull_operations_do(where: str, expected: bool | None) -> None:
    if expected is None:
        assert refusal("DMTF:FQL", where).status is Status.INVALID_QUERY
    else:
        assert fql(where) is expected


def test_a_filter_has_no_class_and_tells_what_it_reads() -> None:
    query = parse("dmtf:fql", "Name = 'a' AND Owner.Like = 2 OR ANY Roles = 'b'")
    assert (query.language, query.source, query.properties) == ("DMTF:FQL", "", None)
    assert query.names == {"name", "owner", "roles"}
    assert fql("Owner.Like = 'keyword'", Thing("C", {"Owner": GUEST}))


# What is refused


def test_languages_are_known_in_any_case_and_others_are_named() -> None:
    assert LANGUAGES == ("WQL", "DMTF:CQL", "CIM:CQL", "DMTF:FQL")
    assert parse(" dmtf:FQL", "a = 1").language == "DMTF:FQL"
    error = refusal("XPath", "//a")
    assert error.status is Status.QUERY_LANGUAGE_NOT_SUPPORTED
    assert "'XPath'" in error.description
    assert "DMTF:FQL" in error.description


@pytest.mark.parametrize(
    ("language", "text", "description"),
    [
        ("WQL", "", "at column 1: expected SELECT at the beginning, found the end of the query"),
        ("WQL", "UPDATE x", "at column 1: expected SELECT at the beginning, found 'UPDATE'"),
        ("WQL", "SELECT FROM CIM_X", "at column 8: expected * or the name of a property, found 'FROM'"),
        ("WQL", "SELECT * CIM_X", "at column 10: expected FROM or a comma after the select list, found 'CIM_X'"),
        ("WQL", "SELECT * FROM", "at column 14: expected the name of a class after FROM, found the end of the query"),
        ("WQL", "SELECT * FROM WHERE", "at column 15: expected the name of a class after FROM, found 'WHERE'"),
        ("WQL", "SELECT * FROM X Y", "at column 17: expected WHERE or the end of the query, found 'Y'"),
        ("WQL", "SELECT * FROM X WITHIN y", "at column 24: expected a number of seconds after WITHIN, found 'y'"),
        (
            "WQL",
            "SELECT * FROM X WHERE",
            "at column 22: expected a property or a literal, found the end of the query",
        ),
        (
            "WQL",
            "SELECT * FROM X WHERE a",
            "at column 24: expected an operator, LIKE, IS or ISA after 'a', found the end of the query",
        ),
        ("FQL", "blah", "at column 5: expected an operator, LIKE, IS or ISA after 'blah', found the end of the query"),
        ("FQL", "", "at column 1: expected a property or a literal, found the end of the query"),
        ("FQL", "  ", "at column 3: expected a property or a literal, found the end of the query"),
        ("FQL", "a = 123a", "at column 5: '123a' is no number"),
        ("FQL", "a = 'b", 'at column 5: the string "\'b" has no closing quote'),
        ("FQL", "a = ?", "at column 5: '?' has no meaning here"),
        ("FQL", "a = 1 b", "at column 7: expected AND, OR or the end of the query, found 'b'"),
        ("FQL", "(a = 1", "at column 7: expected ) or AND or OR, found the end of the query"),
        ("FQL", "a = 1)", "at column 6: expected AND, OR or the end of the query, found ')'"),
        ("FQL", "a < NULL", "at column 3: nothing compares with NULL; write IS NULL or IS NOT NULL"),
        (
            "CQL",
            "SELECT * FROM X WHERE a = NULL",
            "at column 25: nothing compares with NULL; write IS NULL or IS NOT NULL",
        ),
        ("FQL", "a < TRUE", "at column 3: TRUE and FALSE have no order; write = or <>"),
        ("FQL", "a < {1}", "at column 3: an array is compared as a whole, by = or <>"),
        ("FQL", "a != 1", "at column 3: != is no operator of FQL; write <>"),
        ("FQL", "ANY 1 = a", "at column 5: ANY is for properties that are arrays"),
        ("FQL", "ANY a = ANY b", "at column 7: ANY and EVERY can be on one side of a comparison only"),
        ("FQL", "ANY a IS NULL", "at column 7: expected an operator or LIKE after ANY and an array, found 'IS'"),
        ("FQL", "a LIKE 5", "at column 8: expected a pattern in quotes after LIKE, found '5'"),
        ("FQL", "a LIKE '*'", "at column 8: the pattern '*' is wrong: there is nothing that * could repeat"),
        ("FQL", "a IS 5", "at column 6: expected NULL after IS, found '5'"),
        ("FQL", "a = {b}", "at column 6: expected a literal, found 'b'"),
        ("CQL", "SELECT * FROM X WHERE UPPERCASE(a b) = 1", "at column 35: expected , or ), found 'b'"),
        (
            "CQL",
            "SELECT * FROM X WHERE a b",
            "at column 25: expected an operator, LIKE, IS or ISA after 'a', found 'b'",
        ),
        ("FQL", "a.* = 5", "at column 1: * stands for properties in a select list only"),
        ("FQL", "a = " + "9" * 81, f"at column 5: '{'9' * 39}…': the number has too many digits"),
        ("FQL", "a = 1.0e999", "at column 5: '1.0e999': the number is too large for a real64"),
        ("FQL", r"a = '\uFFFFFF'", "at column 5: the string has an escape beyond the last Unicode character"),
        ("FQL", "a[1.5] = 1", "at column 3: '1.5' is no index of an array"),
        ("FQL", "5 ISA CIM_X", "at column 1: ISA is for properties, not for '5'"),
        ("FQL", "and = 5", "at column 1: expected a property or a literal, found 'and'"),
        ("CQL", "SELECT * FROM X WHERE FOO(a) = 1", "at column 23: there is no function 'FOO'"),
        ("CQL", "SELECT FOO(a) FROM X", "at column 8: there is no function 'FOO'"),
        ("CQL", "SELECT * FROM X WHERE UPPERCASE() = 'A'", "at column 23: UPPERCASE is of one value, not of 0"),
        ("CQL", "SELECT * FROM X WHERE 5", "at column 23: '5' alone is no condition"),
        ("CQL", "SELECT * FROM X WHERE X[0] = 5", "at column 23: 'X' is no array"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(language: str, text: str, description: str) -> None:
    error = refusal(language if language == "WQL" else f"DMTF:{language}", text)
    assert error.status is Status.INVALID_QUERY
    assert error.description == description
    assert str(error) == description


def test_what_the_client_wrote_is_told_in_part() -> None:
    for text in (
        "a = 1 " + "b" * 1000,
        "a = '" + "b" * 1000,
        "a LIKE '(" + "b" * 1000 + "'",
        "a = " + "b1" * 500 + "?",
    ):
        assert len(refusal("DMTF:FQL", text).description) < 160


def test_size_depth_and_number_are_bounded() -> None:
    assert "more than 65536" in refusal("DMTF:FQL", " " * 65_537).description
    assert parse("DMTF:FQL", "(" * 64 + "a = 1" + ")" * 64)
    assert "nested" in refusal("DMTF:FQL", "(" * 65 + "a = 1" + ")" * 65).description
    assert "nested" in refusal("DMTF:FQL", "(" * 65_000).description
    assert parse("DMTF:FQL", " OR ".join(["a = 1"] * 1000)).matches(Thing("C", {"a": 1}))
    assert "1000" in refusal("DMTF:FQL", " OR ".join(["a = 1"] * 1001)).description
    assert parse("DMTF:FQL", "NOT " * 10_000 + "a = 1").matches(Thing("C", {"a": 1}))
    calls = "UPPERCASE(" * 65 + "a" + ")" * 65
    assert "nested" in refusal("DMTF:CQL", f"SELECT * FROM X WHERE {calls} = 'A'").description


# Patterns


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (
            "",
            [
                "",
            ],
            ["a"],
        ),
        ("abc", ["abc"], ["ab", "abcd", "ABC"]),
        ("ABC*", ["AB", "ABC", "ABCCC"], ["ABD", "A"]),
        (".*", ["", "a", "a\nb"], []),
        (".*defg", ["abcdefg", "defg"], ["defgh"]),
        ("ab.*cd", ["abcd", "ab123!cd"], ["abcde", "abc"]),
        ("a.*b.*c", ["abc", "axbxc"], ["acb", "ab"]),
        ("A[BC]D", ["ABD", "ACD"], ["AD", "ABCD"]),
        ("r[au]^t", ["ret", "r.t"], ["rat", "rut", "rt"]),
        ("r[^au]t", ["ret"], ["rat", "rt"]),
        ("1[.]{2,3}n", ["1..n", "1...n"], ["1.n", "1....n", "1abn"]),
        ("[EF]{1,2}", ["E", "F", "EF", "FE"], ["", "EFE"]),
        ("[a-cx-]+", ["abc", "-", "x-"], ["d", ""]),
        ("[]]", ["]"], ["["]),
        (r"[\]\-a]", ["]", "-", "a"], ["\\"]),
        ("(XYZ)+", ["XYZ", "XYZXYZ"], ["", "XY"]),
        ("(DEF)?|GHI", ["", "DEF", "GHI"], ["DEFGHI"]),
        ("^a|b$", ["a", "b"], ["ab"]),
        ("^$", [""], ["a"]),
        ("a{2}", ["aa"], ["a", "aaa"]),
        ("a{2,}", ["aa", "aaaa"], ["a"]),
        ("a{0,2}b", ["b", "ab", "aab"], ["aaab"]),
        ("(ab|c){2}", ["abab", "abc", "cab", "cc"], ["ab", "ccc"]),
        ("((a?b)*c)+", ["c", "abc", "bbcabc"], ["a", "ab", ""]),
        (r"\.\*\\", [".*\\"], ["a"]),
        ("a/b}", ["a/b}"], []),
        ("人気.*", ["人気サイト"], ["人"]),
    ],
)
def test_regular_expressions_of_dmtf(pattern: str, yes: list[str], no: list[str]) -> None:
    matches = regular_expression(pattern)
    assert [text for text in yes if not matches(text)] == []
    assert [text for text in no if matches(text)] == []


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("", [""], ["a"]),
        ("%", ["", "a\nb"], []),
        ("a%", ["a", "ab"], ["ba"]),
        ("%a", ["a", "ba"], ["ab"]),
        ("%a%b%", ["ab", "xaxbx"], ["ba"]),
        ("a%a", ["aa", "aba"], ["a"]),
        ("%%a", ["a"], ["b"]),
        ("a_c", ["abc", "a_c"], ["ac"]),
        ("a[_]c", ["a_c"], ["abc"]),
        ("[%]", ["%"], ["a"]),
        ("[!a-c]%", ["d", "dd"], ["a", ""]),
        ("[^a-c]", ["d"], ["a"]),
        ("[]]", ["]"], []),
        ("[a^]", ["a", "^"], ["b"]),
        ("a.c*", ["a.c*"], ["abc"]),
    ],
)
def test_wildcards_of_wql(pattern: str, yes: list[str], no: list[str]) -> None:
    matches = wildcards(pattern)
    assert [text for text in yes if not matches(text)] == []
    assert [text for text in no if matches(text)] == []


@pytest.mark.parametrize(
    "pattern",
    ["*", "a**", "(", ")", "()", "(a", "a)", "[", "[a", "a|", "|", "a{", "a{}", "a{x}", "a{0}", "a{3,2}", "a{1,x}", "a{999}",
     "a{9999999999}", "\\", "\\d", "[b-a]", "a^b", "a$b", "(^a)", "[\\d]", "a+?", "(" * 20 + "a" + ")" * 20,
     "((((a{50}){50}){50}){50}){50}", "[ab]" * 300],
)  # fmt: skip
def test_patterns_that_are_none_or_too_large(pattern: str) -> None:
    with pytest.raises(PatternError):
        regular_expression(pattern)


@pytest.mark.parametrize("pattern", ["[", "[a", "[]", "[z-a]", "_" * 300])
def test_wildcards_that_are_none_or_too_large(pattern: str) -> None:
    with pytest.raises(PatternError):
        wildcards(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a*)*b", "a" * 20_000),
        ("(a|a)*b", "a" * 20_000),
        ("(a?){30}a{30}", "a" * 20_000),
        (".*a.*a.*a.*a.*a.*b", "a" * 20_000),
        ("(.*)(.*)(.*)(.*)[xy]", "a" * 20_000),
        (".*[ab].{100}", "ab" * 10_000),
    ],
)
def test_no_pattern_takes_long(pattern: str, text: str) -> None:
    matches = regular_expression(pattern)
    began = time.process_time()
    matches(text)
    assert time.process_time() - began < 2


# Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261127140000.250000+000", STARTED),
        ("20261127140000.250000-330", STARTED.replace(tzinfo=timezone(timedelta(minutes=-330)))),
        ("00000001020304.000005:000", timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=5)),
        ("20261327140000.250000+000", None),
        ("2026112714****.******+000", None),
        ("2026-11-27T14:00:00Z", None),
        ("", None),
    ],
)
def test_datetimes_of_cim(text: str, expected: object) -> None:
    assert temporal(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "C", "C.", "C.a", "C.a=", 'C.a="b', 'C.a="b"c=1', "C.a=1,,b=2", "//host", "1.a=1", "C.a=1" + "0" * 5000],
)
def test_texts_that_are_no_reference(text: str) -> None:
    found = parsed(text)
    assert found is None or not found.keys


def test_references_with_references_as_keys() -> None:
    outer = pywbem.CIMInstanceName("A", keybindings={"Of": PATH, "Good": True})
    text = r'A.Good=true,Of="root/virtmap:Test_Guest.Name=\"web\",Number=3"'
    assert fql("Link = '" + text.replace("\\", "\\\\") + "'", Thing("C", {"Link": outer}))
    assert not fql("Link = 'A.Good=true,Of=\"Test_Guest.Number=3\"'", Thing("C", {"Link": outer}))


@pytest.mark.parametrize(
    ("left", "right"),
    [(GUEST, GUEST), (STARTED, STARTED.replace(tzinfo=None)), (STARTED, timedelta(1)), (object(), 1), (1, STARTED)],
)
def test_what_cannot_be_compared_is_unknown(left: Value, right: Value) -> None:
    for lenient in (False, True):
        assert compared(lambda a, b: a < b, left, right, lenient=lenient) is None


def test_values_of_types_that_are_made_of_others_compare_as_these() -> None:
    class Text(str):
        __slots__ = ()

    subject = Thing("C", {"a": pywbem.Uint16(5), "b": Text("x"), "c": [1, 2]})
    assert fql("a = 5 AND b = 'x' AND ANY c = 2 AND c = {1, 2} AND b LIKE 'x'", subject)


def test_a_query_is_asked_ten_thousand_times_in_a_blink() -> None:
    class Row:
        classname = "C"

        def value(self, name: str) -> Value:
            return 5

        def is_a(self, name: str) -> bool:
            return True

    query, row = parse("DMTF:FQL", "EnabledState = 2"), Row()
    assert isinstance(query, Query)
    began = time.process_time()
    for _ in range(10_000):
        query.matches(row)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("pattern", [".*[0-9a-f].?Nzz", "(a?b?){0,100}", "(.*[0-9].?[a-f].{0,20})*Nz"])
def test_the_patterns_of_a_query_are_bounded_together(pattern: str) -> None:
    began = time.process_time()
    with pytest.raises(QueryError, match="together"):
        parse("DMTF:FQL", " OR ".join([f"Name LIKE '{pattern}'"] * 900))
    assert time.process_time() - began < 2
    parse("DMTF:FQL", " OR ".join(["Name LIKE '.*abc.*'"] * 900))
