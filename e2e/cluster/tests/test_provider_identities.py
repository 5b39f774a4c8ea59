"""SecretProviderClasses in the shape that the official provider's users have them, one per identity.

Each runs with the values that such a user's chart had. What this chart needs besides is its table's last column.
"""

import base64

import pytest
from conftest import APP_ROLE

from cluster import workloads
from cluster.cluster import ACCOUNT, CLUSTER_ID, PARTNER, REGION

KEY, KEY_SECRET = "LTAI5tEXAMPLEKEYID000001", "EXAMPLEsecret0000000000000001"
TENANT, TENANT_SECRET = "LTAI5tEXAMPLEKEYID000002", "EXAMPLEsecret0000000000000002"
CREDENTIALS = {"id": KEY, "secret": KEY_SECRET, "rolearn": f"acs:ram::{ACCOUNT}:role/provider"}
PARTNER_ROLE = f"acs:ram::{PARTNER}:role/partner"

TWO_SECRETS = """
  - objectName: "shared/database-password"
    objectType: "kms"
    objectAlias: "db-password"

  - objectName: "shared/api-key"
    objectType: "kms"
    objectAlias: "api-key"
"""
TWO_FILES = {"db-password": "amber-compass-23", "api-key": "silver-meadow-58"}
POD_ROLE = """
  - objectName: "app/key"
    objectType: "kms"
    objectAlias: "app-key"
"""
OTHER_ACCOUNT = f"""
  - objectName: "partner/database-password"
    objectType: "kms"
    objectAlias: "db-password"
    # A role of the other account
    crossAccountRoleArn: "{PARTNER_ROLE}"
"""


def environment(*names):
    keys = {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "secret", "ALICLOUD_ROLE_ARN": "rolearn"}
    return {"envVarsFromSecret": {name: {"secretKeyRef": "alibaba-credentials", "key": keys[name]} for name in names}}


def by_default(mode, **more):
    return {"identity": {"default": mode, **more}}


RRSA = {"rrsa": {"enable": True, "accountId": ACCOUNT, "clusterId": CLUSTER_ID}}
ACCESS_KEY = environment("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
RAM_ROLE = environment("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ALICLOUD_ROLE_ARN")

# What: the user's values, what is set here besides, the objects, who then reads, the files.
IDENTITIES = {
    "pod RRSA": (RRSA, {}, POD_ROLE, APP_ROLE, {"app-key": "paper-falcon-19"}),
    "provider RRSA": (
        {**RRSA, **environment("ALICLOUD_ROLE_ARN")},
        by_default("provider"),
        TWO_SECRETS,
        f"acs:ram::{ACCOUNT}:role/provider",
        TWO_FILES,
    ),
    "RAM role by access key": (RAM_ROLE, by_default("ram-role"), TWO_SECRETS, f"acs:ram::{ACCOUNT}:role/provider", TWO_FILES),
    "access key": (ACCESS_KEY, by_default("access-key"), TWO_SECRETS, f"acs:ram::{ACCOUNT}:user/operator", TWO_FILES),
    "node publish secret": ({}, by_default("node-publish-secret"), TWO_SECRETS, f"acs:ram::{ACCOUNT}:user/tenant", TWO_FILES),
    "ECS role": ({}, by_default("ecs-role"), TWO_SECRETS, f"acs:ram::{ACCOUNT}:role/node", TWO_FILES),
    "another account by access key": (
        ACCESS_KEY,
        by_default("access-key", crossAccountRoles=[PARTNER_ROLE]),
        OTHER_ACCOUNT,
        PARTNER_ROLE,
        {"db-password": "distant-lighthouse-64"},
    ),
    "another account by pod RRSA": (RRSA, {}, OTHER_ACCOUNT, PARTNER_ROLE, {"db-password": "distant-lighthouse-64"}),
}


def flags(values, path=""):
    """Values as helm's --set would have them."""
    for name, value in values.items():
        match value:
            case dict():
                yield from flags(value, f"{path}{name}.")
            case list():
                yield f"{path}{name}={{{','.join(value)}}}"
            case _:
                yield f"{path}{name}={value}"


def installed(cluster, theirs, ours):
    cluster.apply(workloads.secret("alibaba-credentials", CREDENTIALS, "kube-system"))
    cluster.remove_double()
    cluster.install_driver()
    cluster.install_provider({**theirs, **ours})


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_class_of_the_official_providers_users_works(cloud, namespace, tell, identity):
    theirs, ours, objects, reader, files = IDENTITIES[identity]
    installed(cloud, theirs, ours)
    parameters = {"region": REGION, "objects": objects}
    options = {}
    if "pod" in identity:
        parameters["usePodServiceAccountToken"] = "true"
        cloud.apply(workloads.service_account("app", namespace, APP_ROLE))
        options["service_account"] = "app"
    volume = workloads.csi_volume("official")
    if identity == "node publish secret":
        cloud.apply(workloads.secret("credentials", {"access_key": TENANT, "access_secret": TENANT_SECRET}, namespace))
        volume["csi"]["nodePublishSecretRef"] = {"name": "credentials"}
    cloud.apply(workloads.secret_provider_class("official", parameters, namespace))
    cloud.ctl("clear")
    cloud.apply(workloads.pod("demo", namespace, [volume], **options))
    cloud.wait_ready("demo", namespace)
    assert {name: cloud.read("demo", f"/secrets/{name}", namespace).decode() for name in files} == files
    assert cloud.listing("demo", namespace=namespace) == sorted(files)
    assert {request["principal"]["arn"] for request in cloud.requests(action="GetSecretValue", status=200)} == {reader}
    tell(f"{identity:30} {' '.join(flags(ours)) or 'unchanged'}")


@pytest.fixture
def inherited(cloud):
    """Classes that say nothing of identity, with an operator's access key."""
    installed(cloud, ACCESS_KEY, by_default("access-key"))
    return cloud


def start(cluster, namespace, objects, secret_objects=None):
    spc = workloads.secret_provider_class("official", {"objects": objects}, namespace, secret_objects=secret_objects)
    cluster.apply(spc, workloads.pod("demo", namespace, [workloads.csi_volume("official")]))
    cluster.wait_ready("demo", namespace)


def test_a_class_with_jmes_path_of_the_official_providers_users_works(inherited, namespace, tell):
    objects = """
  - objectName: "shared/account"
    jmesPath:
      - path: "username"
        objectAlias: "myUsername"
      - path: "password"
        objectAlias: "myPassword"
"""
    start(inherited, namespace, objects)
    assert inherited.read("demo", "/secrets/myUsername", namespace) == b"shop"
    assert inherited.read("demo", "/secrets/myPassword", namespace) == b"winter-orchard-90"
    tell(f"{'jmesPath':30} as its identity")


def test_a_class_of_the_official_providers_users_rotates(inherited, namespace, tell):
    inherited.ctl("put", "shared/rotating", "before")
    start(inherited, namespace, '  - objectName: "shared/rotating"\n')
    # The official provider names the file as this one does: a slash becomes an underscore.
    assert inherited.read("demo", "/secrets/shared_rotating", namespace) == b"before"
    inherited.ctl("rotate", "shared/rotating", "after")
    inherited.wait_for(lambda: inherited.read("demo", "/secrets/shared_rotating", namespace) == b"after", 60, "the rotation", every=1)
    tell(f"{'rotation':30} as its identity; the driver's enableSecretRotation, as ever")


def test_a_class_of_the_official_providers_users_syncs(inherited, namespace, tell):
    # A name without a slash, as in the documentation: the copy is made of the file of that name.
    inherited.ctl("put", "shared/synced", "a copy")
    objects = '  - objectName: "shared/synced"\n    objectAlias: "synced"\n'
    start(inherited, namespace, objects, [{"secretName": "copy", "type": "Opaque", "data": [{"objectName": "synced", "key": "value"}]}])
    copy = inherited.wait_for(lambda: inherited.get("secret", "copy", namespace), 30, "the Kubernetes Secret")
    assert base64.b64decode(copy["data"]["value"]) == b"a copy"
    tell(f"{'sync':30} as its identity; the driver's syncSecret.enabled, as ever")
