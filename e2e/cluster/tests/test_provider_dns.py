"""Pods mount whatever a cluster's DNS does beside answering A questions: it must not take a name's IPv4
address away that its AAAA question or a search domain fails, nor make a mount wait for that."""

import time

import pytest
from cluster import dns

OBJECTS = """
- objectName: app/key
  objectAlias: key
- objectName: /app/password
  objectType: oos
  objectAlias: password
"""

# For the first mount, which asks for STS, KMS and OOS by name. A resolver that waits for an answer that does not come
# waits for 5 s.
MOUNT_SECONDS = 4
# With a pod's own start on a busy machine.
READY_SECONDS = 20


@pytest.mark.parametrize("mode", [dns.ORDINARY, *dns.HOSTILE])
def test_a_pod_mounts_with_a_fresh_provider_when_dns_is(mode, provider, app, tell):
    app.secrets("shop", OBJECTS)
    provider.set_dns(mode)
    try:
        provider.restart_provider()
        began = time.monotonic()
        app.start("shop", "shop", READY_SECONDS)
        ready = time.monotonic() - began
        mounts = provider.provider_metric("mount_duration_seconds_count")
        seconds = provider.provider_metric("mount_duration_seconds_sum")
        assert app.read("shop", "key") == "paper-falcon-19"
        assert app.read("shop", "password") == "gentle-thunder-36"
        asked = [line for line in provider.dns_questions(mode) if "aliyuncs.com" in line]
        tell(f"{mode}: Ready after {ready:.1f} s, {mounts:.0f} mounts took {seconds:.2f} s, {len(asked)} questions")
        assert not app.failures("shop")
        assert asked
        assert seconds < MOUNT_SECONDS
    finally:
        provider.set_dns()
