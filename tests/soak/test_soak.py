"""A short soak: managers read and set and guests are busy, while libvirtd hangs, is killed and comes back."""

from tests.programs import unavailable
from tests.servers import Unavailable
from tests.soak.soak import Plan, soaking

SHORT = Plan(seconds=20, period=10, hangs=(2,), downs=(1,), spare=60)


def test_every_request_is_answered_while_libvirtd_hangs_dies_and_comes_back() -> None:
    try:
        with soaking(SHORT) as soak:
            soak.run()
            figures, failures = "\n".join(soak.figures()), soak.failures()
    except Unavailable as reason:
        unavailable(str(reason))
    assert [trouble.what for trouble in soak.troubles[1:]] == ["hung for 2 s", "killed, away for 1 s"]
    assert failures == [], figures
