"""The SNMP side of an agent as its configuration puts it together, over reloads and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent import config as configuration
from agent.__main__ import Agent, _reload
from agent.errors import ConfigError
from agent.model import Domain
from agent.schema.declare import Access, Severity
from agent.snmp import usm
from agent.snmp.engine import Engine
from agent.snmp.message import Status
from agent.snmp.message3 import Level
from agent.snmp.service import Service, security, told
from agent.snmp.setting import Setting, carry_out
from tests import wire, wire3
from tests.agents import DOMAIN_ENTRY, looped, until
from tests.authorities import Authority
from tests.wire import Oid, oid

SYS_CONTACT, SYS_NAME, SYS_LOCATION = (oid(f"1.3.6.1.2.1.1.{arc}.0") for arc in (4, 5, 6))
ENABLE_TRAPS, SET_SERIAL = oid("1.3.6.1.2.1.11.30.0"), oid("1.3.6.1.6.3.1.1.6.1.0")
AUTOSTART = 9
VACM, TARGETS = oid("1.3.6.1.6.3.16"), oid("1.3.6.1.6.3.12.1.2")
ANN = wire3.User(
    name=b"ann", auth="SHA-256", words="words of ann that are secret", priv="AES", secret="other words of ann"
)
ZOE = wire3.User(
    name=b"zoe", auth="SHA-512", words="words of zoe that are secret", priv="AES-256", secret="other words of zoe"
)


def user(of: wire3.User, *lines: str) -> str:
    return "\n".join((
        "[[snmp.user]]", f'name = "{of.name.decode()}"', f'auth = "{of.auth}"', f'auth_passphrase = "{of.words}"',
        f'priv = "{of.priv}"', f'priv_passphrase = "{of.secret}"', *lines, "",
    ))  # fmt: skip


def text(folder: Path, *entries: str, snmp: str = "", listen: str = '"127.0.0.1:0"', rest: str = "") -> str:
    return f"""
[[hypervisor]]
name = "first"
uri = "fake:///?domains=2"
[[hypervisor]]
name = "second"
uri = "fake:///?domains=4"
[snmp]
listen = [{listen}]
{snmp}
{"".join(entries)}
[state]
directory = "{folder / "state"}"
{rest}
"""


COMMUNITY = '[[snmp.community]]\nname = "public"\n'
BASIC = (COMMUNITY, user(ANN, 'role = "administer"'))


@asynccontextmanager
async def serving(config: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    """An agent of this configuration that has read its hypervisors. It leaves the interpreter as it is."""
    monkeypatch.setattr("agent.pauses.Pauses.install", lambda _: None)
    agent = Agent(configuration.parse(config))
    await agent.start()
    try:
        assert await agent.read(20) == []
        yield agent
    finally:
        await agent.stop()


def engine_of(agent: Agent) -> Engine:
    return service_of(agent).engine


def service_of(agent: Agent) -> Service:
    assert agent._snmp is not None
    return agent._snmp


def ask(agent: Agent, data: bytes) -> Any:
    return engine_of(agent).receive(data, "127.0.0.1", 40000)


def ask3(agent: Agent, of: wire3.User, pdu: bytes, **more: Any) -> Any:
    engine = engine_of(agent)
    peer = wire3.Peer(engine=engine.engine_id, boots=engine.boots, time=engine.time())
    return ask(agent, wire3.message(of, peer, pdu, **more))


def read3(agent: Agent, of: wire3.User, *names: Oid, **more: Any) -> wire3.Answer3:
    return wire3.answered(ask3(agent, of, wire3.get(*names), **more), of)


async def write3(agent: Agent, of: wire3.User, *pairs: tuple[Oid, bytes], request: int = 1) -> wire.Answer:
    pdu = wire3.pdu(wire.SET, [wire.binding(n, v) for n, v in pairs], request=request)
    answer = ask3(agent, of, pdu)
    if isinstance(answer, Setting):
        answer = engine_of(agent).finish(answer, *await carry_out(answer, agent.operations))
    return wire3.answered(answer, of).answer


def reload(agent: Agent, config: str) -> None:
    agent.reload(configuration.parse(config))


# --- from the configuration


def test_what_the_configuration_says_is_what_the_engine_is_given(tmp_path: Path) -> None:
    view = '[[snmp.view]]\nname = "some"\ninclude = ["1.3.6.1.2.1"]\nexclude = ["1.3.6.1.2.1.11"]\n'
    entries = (
        COMMUNITY,
        '[[snmp.community]]\nname = "string"\nhypervisor = "second"\nversions = ["1"]\nrate = 5\nrole = "operate"\nview = "some"\n',
        user(ANN, 'level = "authNoPriv"', 'hypervisors = ["second"]', "rate = 2", 'sources = ["10.0.0.0/8"]'), view,
    )  # fmt: skip
    found = security(configuration.parse(text(tmp_path, *entries, snmp="answer_limit = 1000")))
    one, two = found.communities
    assert (one.name, one.hypervisor, one.role, one.rate, one.versions) == (
        b"public",
        "first",
        Access.OBSERVE,
        None,
        {0, 1},
    )
    assert (two.hypervisor, two.role, two.rate, two.versions, two.view) == ("second", Access.OPERATE, 5, {0}, "some")
    (ann,) = found.accounts
    assert (ann.label, ann.least, ann.hypervisors, ann.rate) == ("ann", Level.AUTH_NO_PRIV, ("second",), 2)
    assert [str(n) for n in ann.sources] == ["10.0.0.0/8"]
    (some,) = found.views
    assert some.includes(SYS_NAME)
    assert not some.includes(ENABLE_TRAPS)
    assert found.answer_limit == 1000
    for secret in ("public", "string", ANN.words, ANN.secret):
        assert secret not in repr(found)


# --- restarts


def test_engine_id_and_what_was_set_outlive_the_agent_and_boots_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for start in range(3):

        @looped
        async def one(start: int = start) -> None:
            async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
                engine = engine_of(agent)
                seen.append((engine.engine_id, engine.boots))
                told = read3(agent, ANN, SYS_LOCATION).answer.variables[0][2]
                assert told == (f"rack {start - 1}".encode() if start else b"")
                answer = await write3(agent, ANN, (SYS_LOCATION, wire.text(f"rack {start}")))
                assert answer.error == (0, 0)

        one()
    ids, boots = zip(*seen, strict=True)
    assert len(set(ids)) == 1
    assert boots == (1, 2, 3)
    assert 5 <= len(ids[0]) <= 32


def test_an_engine_id_of_the_configuration_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC, snmp='engine_id = "8000000004616263"'), monkeypatch) as agent:
            assert engine_of(agent).engine_id == bytes.fromhex("8000000004616263")
            assert read3(agent, ANN, SYS_NAME).answer.error == (0, 0)

    check()


# --- reloads


def test_communities_are_others_after_a_reload_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            engine = engine_of(agent)
            assert (await write3(agent, ANN, (SYS_CONTACT, wire.text("me")), (ENABLE_TRAPS, wire.number(2)))).error == (
                0,
                0,
            )
            assert ask(agent, wire.get(SYS_NAME)) is not None
            started, boots, packets = engine.started, engine.boots, engine.statistics.snmpInPkts
            other = COMMUNITY.replace("public", "other") + 'hypervisor = "second"\n'
            reload(agent, text(tmp_path, other, BASIC[1]))
            assert ask(agent, wire.get(SYS_NAME)) is None
            asked = wire.getbulk(0, 10, (*DOMAIN_ENTRY, 4), community=b"other")
            answer = wire.answered(ask(agent, asked))
            assert sum(v.startswith(b"guest") for _, _, v in answer.variables) == 4
            told = read3(agent, ANN, SYS_CONTACT, ENABLE_TRAPS).answer
            assert (told.variables[0][2], told.numbers[1]) == (b"me", 2)
            assert engine_of(agent) is engine
            assert (engine.started, engine.boots) == (started, boots)
            assert engine.statistics.snmpInPkts > packets

    check()


def test_keys_are_made_for_changed_users_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    before = usm.LocalUser.__init__

    def counted(self: usm.LocalUser, one: usm.User, engine_id: bytes) -> None:
        made.append(one.name)
        before(self, one, engine_id)

    monkeypatch.setattr(usm.LocalUser, "__init__", counted)

    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            assert made == ["ann"]
            reload(agent, text(tmp_path, user(ANN), user(ZOE)))  # another role takes no other keys
            assert made == ["ann", "zoe"]
            assert read3(agent, ZOE, SYS_NAME).answer.error == (0, 0)
            assert (await write3(agent, ANN, (SYS_CONTACT, wire.text("x")))).error == (int(Status.NO_ACCESS), 1)
            reload(agent, text(tmp_path, user(ANN).replace(ANN.words, "changed words of ann"), user(ZOE)))
            assert made == ["ann", "zoe", "ann"]
            assert wire3.answered(ask3(agent, ANN, wire3.get(SYS_NAME))).counter == oid("1.3.6.1.6.3.15.1.1.5.0")
            reload(agent, text(tmp_path, user(ZOE)))
            assert wire3.answered(ask3(agent, ANN, wire3.get(SYS_NAME))).counter == oid("1.3.6.1.6.3.15.1.1.3.0")
            assert read3(agent, ZOE, SYS_NAME).answer.error == (0, 0)

    check()


def test_views_and_what_they_show_of_access_control_follow_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = '[[snmp.view]]\nname = "seen"\ninclude = ["1.3"]\n'
    narrow = '[[snmp.view]]\nname = "seen"\ninclude = ["1.3.6.1.2.1.1"]\n'
    seeing = user(ANN, 'view = "seen"')

    def next_of(agent: Agent, name: Oid) -> wire.Answer:
        return wire3.answered(ask3(agent, ANN, wire3.get(name, tag=wire.GETNEXT)), ANN).answer

    @looped
    async def check() -> None:
        async with serving(text(tmp_path, seeing, whole), monkeypatch) as agent:
            groups = (*VACM, 1, 2, 1, 3)
            for _ in range(2):
                assert next_of(agent, groups).names[0][: len(groups)] == groups
            before = wire3.answered(ask3(agent, ANN, wire3.get(groups, tag=wire.GETNEXT)), ANN).answer
            reload(agent, text(tmp_path, seeing, whole, user(ZOE)))
            names = []
            at = groups
            while (found := next_of(agent, at)).names[0][: len(groups)] == groups:
                names.append(at := found.names[0])
            assert before.names[0] in names
            assert any(bytes(n[-3:]) == b"zoe" for n in names)
            reload(agent, text(tmp_path, seeing, narrow))
            for _ in range(2):
                assert next_of(agent, groups).tags == [wire.END_OF_MIB_VIEW]
            reload(agent, text(tmp_path, user(ANN)))
            assert next_of(agent, (*VACM, 1)).tags == [wire.END_OF_MIB_VIEW]

    check()


def test_targets_and_texts_follow_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = '[[snmp.view]]\nname = "seen"\ninclude = ["1.3"]\n' + user(ANN, 'view = "seen"')

    def target(name: str) -> str:
        return f'[[snmp.target]]\nname = "{name}"\naddress = "udp:127.0.0.1:9"\nversion = "2c"\ncommunity = "a secret trap"\n'

    @looped
    async def check() -> None:
        async with serving(text(tmp_path, whole, target("one")), monkeypatch) as agent:
            for names in (["one"], ["two", "three"], []):
                reload(agent, text(tmp_path, whole, *map(target, names), snmp=f'contact = "{names}"'))
                assert [t.name for t in service_of(agent).notifier.targets] == names
                shown = wire3.answered(
                    ask3(agent, ANN, wire3.pdu(wire.GETBULK, [wire.binding((*TARGETS, 1, 2))], second=5)), ANN
                )
                rows = [
                    n
                    for n in shown.answer.names
                    if n[: len(TARGETS)] == TARGETS and n[len(TARGETS) : len(TARGETS) + 2] == (1, 2)
                ]
                assert len(rows) == len(names)
                assert read3(agent, ANN, SYS_CONTACT).answer.variables[0][2] == str(names).encode()
                told = await write3(agent, ANN, (SYS_CONTACT, wire.text("x")))
                assert told.status in (Status.NOT_WRITABLE, Status.NO_ACCESS)

    check()


def test_limits_and_rates_follow_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = wire.getbulk(0, 500, (1, 3))

    @looped
    async def check() -> None:
        async with serving(text(tmp_path, COMMUNITY), monkeypatch) as agent:
            assert 7000 < len(ask(agent, asked)) <= 8192
            assert agent.operations.per_principal == 8
            reload(agent, text(tmp_path, COMMUNITY, snmp="answer_limit = 1000\noperations_per_user = 3"))
            assert 700 < len(ask(agent, asked)) <= 1000
            assert agent.operations.per_principal == 3
            reload(agent, text(tmp_path, COMMUNITY + "rate = 0.001\n"))
            assert [ask(agent, asked) is None for _ in range(3)] == [False, True, True]
            reload(agent, text(tmp_path, COMMUNITY))
            assert ask(agent, asked) is not None

    check()


def test_certificates_follow_a_reload_and_wrong_files_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "authority")
    mine, later = authority.sign("mine", server=True), authority.sign("later", server=True)
    carl, dora = authority.sign("carl"), authority.sign("dora")

    def config(client: Any, name: str, files: Any = mine, *, community: str = "public") -> str:
        entry = f'[[snmp.client_certificate]]\nfingerprint = "{client.fingerprint}"\nuser = "{name}"\n'
        snmp = f'certificate = "{files.certificate}"\nkey = "{files.key}"\nclient_ca = "{authority.certificate}"'
        return text(
            tmp_path,
            COMMUNITY.replace("public", community),
            entry,
            snmp=snmp,
            listen='"127.0.0.1:0", "tls:127.0.0.1:0"',
        )

    inner = wire3.get(SYS_NAME)

    def known(agent: Agent) -> list[bool]:
        engine = engine_of(agent)
        header = wire.tlv(0x30, wire.number(5) + wire.number(9000) + wire.text(b"\x07") + wire.number(4))
        data = wire.tlv(0x30, wire.number(3) + header + wire.text(b"") + wire3.scoped(inner, engine.engine_id))
        return [engine.receive(data, "127.0.0.1", 1, certificate=c.fingerprint) is not None for c in (carl, dora)]

    def contexts(agent: Agent) -> list[Any]:
        return [one.context for _, one in service_of(agent)._server._listeners if getattr(one, "context", None)]

    @looped
    async def check() -> None:
        async with serving(config(carl, "carl"), monkeypatch) as agent:
            assert known(agent) == [True, False]
            before = contexts(agent)
            wrong = SimpleNamespace(certificate=mine.certificate, key=later.key)
            gone = SimpleNamespace(certificate=str(tmp_path / "gone.pem"), key=mine.key)
            for files in (wrong, gone):
                with pytest.raises(ConfigError, match=r"snmp\.certificate"):
                    reload(agent, config(dora, "dora", files, community="other"))
                assert known(agent) == [True, False]
                assert contexts(agent) == before
                assert ask(agent, wire.get(SYS_NAME)) is not None
                assert ask(agent, wire.get(SYS_NAME, community=b"other")) is None
            reload(agent, config(dora, "dora", later))
            assert known(agent) == [False, True]
            assert contexts(agent) != before
            assert ask(agent, wire.get(SYS_NAME)) is not None

    check()


def test_what_waits_for_a_restart_is_told_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            identity = engine_of(agent).engine_id
            with caplog.at_level("INFO", "virtmap"):
                changed = text(
                    tmp_path, *BASIC, snmp='engine_id = "8000000004616263"', rest="[inventory]\ninterval = 77"
                )
                for _ in range(2):
                    caplog.clear()
                    reload(agent, changed)
                    assert "waits for a restart: " in caplog.text
                    assert "snmp.engine_id" in caplog.text
                    assert "inventory.interval" in caplog.text
            assert engine_of(agent).engine_id == identity
            assert read3(agent, ANN, SYS_NAME).answer.error == (0, 0)

    check()


def test_a_file_that_is_wrong_is_logged_and_the_agent_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "virtmap.toml"

    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            for wrong in (
                "[snmp", text(tmp_path, COMMUNITY + 'hypervisor = "third"\n'), text(tmp_path, user(ANN, 'view = "none"')),
                text(tmp_path, user(ANN).replace(ANN.words, "short")), "\0", None,
            ):  # fmt: skip
                caplog.clear()
                file.unlink(missing_ok=True)
                if wrong is not None:
                    file.write_text(wrong)
                _reload(agent, lambda: configuration.load(file))
                assert "not reloaded: " in caplog.text
                for secret in (ANN.words, ANN.secret, "public", "short"):
                    assert secret not in caplog.text
                assert ask(agent, wire.get(SYS_NAME)) is not None
                assert read3(agent, ANN, SYS_NAME).answer.error == (0, 0)

    check()


def test_a_set_under_way_outlives_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            table = agent.inventories["first"].snapshot.table(Domain)
            name = (*DOMAIN_ENTRY, AUTOSTART, *table.indexes[0])
            pdu = wire3.pdu(wire.SET, [wire.binding(name, wire.number(1))], request=3)
            setting = ask3(agent, ANN, pdu)
            assert isinstance(setting, Setting)
            reload(agent, text(tmp_path, *BASIC))
            assert ask3(agent, ANN, pdu) is None, "still under way"
            done = engine_of(agent).finish(setting, *await carry_out(setting, agent.operations))
            assert wire3.answered(done, ANN).answer.error == (0, 0)
            assert read3(agent, ANN, SYS_NAME).answer.error == (0, 0)
            assert wire3.answered(ask3(agent, ANN, pdu), ANN).answer.error == (0, 0), "and remembered"

    check()


FILTERED = """[[snmp.target]]
name = "one"
address = "udp:127.0.0.1:9"
version = "2c"
community = "a secret trap"
inform = true
domains = ["web*"]
kinds = ["disk"]
severity = "major"
expiry = 60
queue = 7
"""


def test_a_target_is_told_what_the_configuration_lets_through(tmp_path: Path) -> None:
    config = configuration.parse(text(tmp_path, *BASIC, FILTERED))
    (one,) = told(config, security(config))
    assert (one.domains, one.kinds, one.severity, one.expiry, one.queue) == (
        ("web*",),
        ("disk",),
        Severity.MAJOR,
        60,
        7,
    )


def test_informs_that_wait_are_kept_over_a_reload_and_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waiting(agent: Agent) -> int:
        return len(agent.state.queued("inform:one", -1, 100))

    informed = FILTERED.replace('severity = "major"\n', "")

    @looped
    async def first() -> None:
        async with serving(text(tmp_path, *BASIC, informed), monkeypatch) as agent:
            await until(lambda: waiting(agent) == 1, "coldStart on the disk")
            reload(agent, text(tmp_path, *BASIC, informed.replace("queue = 7", "queue = 8")))
            await until(lambda: waiting(agent) == 2, "warmStart behind it")

    @looped
    async def second() -> None:
        async with serving(text(tmp_path, *BASIC, informed), monkeypatch) as agent:
            await until(lambda: waiting(agent) == 3, "another coldStart")
            reload(agent, text(tmp_path, *BASIC))
            await until(lambda: waiting(agent) == 0, "nobody who is waited for")

    first()
    second()


@pytest.mark.parametrize("limit", [0, 5])
def test_the_notification_log_is_there_unless_it_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC, snmp=f"log_limit = {limit}"), monkeypatch) as agent:
            service = service_of(agent)
            assert not service.notifier.listening
            answer = read3(agent, ANN, oid("1.3.6.1.2.1.92.1.1.1.0"), oid("1.3.6.1.2.1.92.1.3.1.1.9.0.1")).answer
            if limit:
                assert [contents for _, _, contents in answer.variables] == [b"\5", bytes.fromhex("2b0601060301010501")]
            else:
                assert answer.tags == [wire.NO_SUCH_OBJECT, wire.NO_SUCH_OBJECT]
            identities = {module for module, _ in service.engine.modules()}
            assert (oid("1.3.6.1.2.1.92") in identities) is bool(limit)

    check()


def test_a_failed_authentication_is_told_as_long_as_anybody_wants_to_hear_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            told: list[Any] = []
            service_of(agent).notifier.sinks.append(told.append)
            ask(agent, wire.get(SYS_NAME, community=b"wrong"))
            assert len(told) == 1
            assert (await write3(agent, ANN, (ENABLE_TRAPS, wire.number(2)))).error == (0, 0)
            ask(agent, wire.get(SYS_NAME, community=b"wrong"))
            assert len(told) == 1
            assert (await write3(agent, ANN, (ENABLE_TRAPS, wire.number(1)), request=2)).error == (0, 0)
            ask3(agent, ANN, wire3.get(SYS_NAME), digest=lambda d: bytes(len(d)))
            assert len(told) == 2
            assert "wrong" not in repr(told)

    check()


def test_what_was_set_is_written_down_before_the_agent_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @looped
    async def check() -> None:
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            for number in range(20):
                answer = await write3(agent, ANN, (SYS_CONTACT, wire.text(f"contact {number}")), request=number)
                assert answer.error == (0, 0)
        async with serving(text(tmp_path, *BASIC), monkeypatch) as agent:
            assert read3(agent, ANN, SYS_CONTACT).answer.variables[0][2] == b"contact 19"
            tasks = service_of(agent)._tasks
            assert not tasks
            await write3(agent, ANN, (SYS_CONTACT, wire.text("later")))
            assert len(tasks) == 1
            await until(lambda: not tasks, "the text to be written")
            assert await asyncio.to_thread(agent.state.text, "sysContact") == "later"

    check()
