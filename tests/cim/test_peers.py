"""Clients that we did not write, against a running server: pywbemcli, and wbemcli of sblim."""

from __future__ import annotations

import subprocess

import pytest
import pywbem

from tests.cim.served import OPERATOR, Running, path_of
from tests.programs import program


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def domain(running: Running) -> str:
    """The path of a running domain, without its namespace."""
    found = running.client().EnumerateInstances("Virtmap_Domain", PropertyList=["ElementName"])
    path = next(i.path for i in found if i["ElementName"] == "guest1")
    return f'Virtmap_Domain.CreationClassName="Virtmap_Domain",Name="{path["Name"]}"'


class TestWbemcli:
    """Its parser of its own is a strict and odd one, and so a good peer."""

    def ask(
        self,
        running: Running,
        verb: str,
        rest: str,
        *more: str,
        credentials: str = "",
        namespace: str = "root/virtmap",
    ) -> list[str]:
        url = f"http://{credentials}127.0.0.1:{running.port}/{namespace}:{rest}"
        return run(program("wbemcli", "sblim-wbemcli"), "-nl", verb, url, *more).splitlines()

    def test_instances(self, running: Running) -> None:
        assert len(self.ask(running, "ein", "Virtmap_Domain")) == 8
        told = self.ask(running, "ei", "Virtmap_Domain")
        assert '-ElementName="guest1"' in told
        assert sum(line.startswith("-State=") for line in told) == 8
        assert '-ElementName="guest1"' in self.ask(running, "gi", domain(running))
        assert sum(line.startswith("-DeviceID=") for line in self.ask(running, "ei", "CIM_LogicalDevice")) == 49

    def test_classes(self, running: Running) -> None:
        assert any("Virtmap_Nic" in line for line in self.ask(running, "ecn", ""))
        assert any("CIM_ManagedElement" in line for line in self.ask(running, "ec", ""))
        assert any("CpuTime" in line for line in self.ask(running, "gc", "Virtmap_Vcpu"))

    def test_associations(self, running: Running) -> None:
        path = domain(running)
        told = running.client().AssociatorNames(path_of(running, "guest1"))
        assert len(self.ask(running, "ain", path)) == len(told) > 9
        assert len(self.ask(running, "rin", path)) == len(running.client().ReferenceNames(path_of(running, "guest1")))
        assert any("Virtmap_Disk" in line for line in self.ask(running, "ai", path))
        assert any("GroupComponent" in line for line in self.ask(running, "ri", path))

    def test_methods(self, running: Running) -> None:
        credentials = f"{OPERATOR[0]}:{OPERATOR[1]}@"
        path = domain(running)
        assert any("Suspend: 0" in line for line in self.ask(running, "cm", path, "Suspend", credentials=credentials))
        assert "-State=4" in self.ask(running, "gi", path)
        self.ask(running, "cm", path, "Resume", credentials=credentials)
        assert "-State=2" in self.ask(running, "gi", path)

    @pytest.mark.parametrize("namespace", ["root", "interop", "root/cimv2"])
    def test_other_namespaces(self, running: Running, namespace: str) -> None:
        """It reads every instance there is, and what is around one of each class, as many as pywbem does."""
        client = running.client(namespace=namespace)
        names = client.EnumerateClassNames(DeepInheritance=True)
        assert len(self.ask(running, "ecn", "", namespace=namespace)) == len(names)
        for name in client.EnumerateClassNames() if namespace == "root" else names[:: max(1, len(names) // 12)]:
            assert self.ask(running, "gc", name, namespace=namespace)
            paths = client.EnumerateInstanceNames(name)
            told = self.ask(running, "ein", name, namespace=namespace)
            assert len(told) == len(paths)
            assert bool(self.ask(running, "ei", name, namespace=namespace)) == bool(paths)
            whole = {path.classname: (path, line) for path, line in zip(paths, told, strict=True)}
            for path, line in whole.values():
                if any(isinstance(value, pywbem.CIMInstanceName) for value in path.keybindings.values()):
                    continue  # it has no way to write the path of an association
                rest = line.partition(f"/{namespace}:")[2]
                assert self.ask(running, "gi", rest, namespace=namespace)
                assert len(self.ask(running, "ain", rest, namespace=namespace)) == len(client.AssociatorNames(path))
                assert len(self.ask(running, "rin", rest, namespace=namespace)) == len(client.ReferenceNames(path))


class TestPywbemcli:
    def ask(self, running: Running, *rest: str) -> str:
        user, password = OPERATOR
        tool = program("pywbemcli", "pywbemtools")
        return run(tool, "-s", running.url, "-d", "root/virtmap", "-u", user, "-p", password, *rest)

    def test_instances_and_counts(self, running: Running) -> None:
        assert "guest1" in self.ask(
            running, "-o", "table", "instance", "enumerate", "Virtmap_Domain", "--pl", "ElementName"
        )
        counts = self.ask(running, "instance", "count", "Virtmap_*")
        assert any(line.split()[-2:] == ["Virtmap_Domain", "8"] for line in counts.splitlines() if line.split())

    def test_classes(self, running: Running) -> None:
        assert "Virtmap_Vcpu" in self.ask(running, "class", "tree", "CIM_LogicalDevice")
        assert "CpuTime" in self.ask(running, "class", "get", "Virtmap_Vcpu")

    def test_associations_and_methods(self, running: Running) -> None:
        path = domain(running)
        assert "Virtmap_Host" in self.ask(running, "instance", "associators", path, "--no")
        assert "ReturnValue=0" in self.ask(
            running, "instance", "invokemethod", path, "SetAutostart", "-p", "Autostart=true"
        )

    def test_the_server_itself(self, running: Running) -> None:
        assert "virtmap" in self.ask(running, "server", "info")
        assert "interop" in self.ask(running, "namespace", "list")

    def test_around_a_domain(self, running: Running) -> None:
        path = domain(running)
        assert "Virtmap_DomainDevice" in self.ask(running, "instance", "references", path, "--no")
        assert "guest1" in self.ask(running, "instance", "get", path)

    def test_the_shrub_of_a_domain(self, running: Running) -> None:
        assert "Virtmap_Disk" in self.ask(running, "instance", "shrub", domain(running))

    def test_finding_classes(self, running: Running) -> None:
        # Not by --association: it looks for a scope "any", which CIM-XML has not, and fails with every server.
        assert "Virtmap_Vcpu" in self.ask(running, "class", "find", "Virtmap_V*")
        assert "Virtmap_HostedDomain" in self.ask(running, "class", "enumerate", "CIM_Dependency", "--di", "--no")

    def test_statistics(self, running: Running) -> None:
        told = self.ask(running, "--timestats", "instance", "enumerate", "Virtmap_Host", "--no")
        assert "EnumerateInstanceNames" in told or "EnumerateInstancePaths" in told

    def test_profiles(self, running: Running) -> None:
        assert "virtmap" in self.ask(running, "profile", "list")
        told = self.ask(running, "profile", "centralinsts", "-p", "virtmap mapping")
        assert "Virtmap_Domain" in told
        assert "virtmap" in self.ask(running, "server", "brand")
