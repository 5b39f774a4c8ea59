"""What editors and the API server know of SecretProviderClasses: they refuse nothing that a mount takes.

The manifests are those of e2e/check with what `check` says of each, which is what a mount says, and the examples of
docs/objects.md."""

import json
import re

import jsonschema
import pytest
import yaml
from test_chart_options import objects

from cluster.cluster import REPOSITORY, Failed

CASES = REPOSITORY / "e2e" / "check"
SCHEMAS = {name: json.loads((REPOSITORY / "docs/schema" / f"{name}.schema.json").read_text()) for name in ("objects", "secretproviderclass")}
CLASS = jsonschema.Draft202012Validator(SCHEMAS["secretproviderclass"])
OBJECTS = jsonschema.Draft202012Validator(SCHEMAS["objects"])


def classes():
    """Each class of this provider in e2e/check that is YAML, with whether check finds an error in its file."""
    for path in sorted(CASES.glob("*.yaml")):
        broken = "error[" in path.with_suffix(".txt").read_text()
        try:
            documents = [found for found in yaml.safe_load_all(path.read_text()) if isinstance(found, dict)]
        except yaml.YAMLError:
            continue
        for found in documents:
            if found.get("kind") == "SecretProviderClass" and (found.get("spec") or {}).get("provider") == "alibabacloud":
                yield path.stem, found, broken


def wrong(manifest):
    """What the schemas refuse of a class: of all, or of its objects."""
    found = [error.json_path for error in CLASS.iter_errors(manifest)]
    text = (manifest["spec"].get("parameters") or {}).get("objects")
    try:
        listed = yaml.safe_load(text) if isinstance(text, str) else []
    except yaml.YAMLError:
        listed = []
    return found + [f"objects{error.json_path}" for error in OBJECTS.iter_errors(listed)] if listed else found


def test_schemas_are_schemas():
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_schemas_refuse_only_what_check_calls_an_error():
    refused = {name for name, manifest, _ in classes() if wrong(manifest)}
    assert refused <= {name for name, _, broken in classes() if broken}
    for name in ("field-twice", "field-as-parameter", "form-of-azure", "role-is-a-name", "type-of-aws", "unknown-field", "unknown-parameter"):
        assert name in refused, name
    assert len(refused) >= 10, refused


def test_schema_of_objects_takes_every_accepted_example_of_the_documents():
    """Of the fields' table: what is accepted, and, where a name or form is wrong, what is refused."""
    rows = [line.split(" | ") for line in (REPOSITORY / "docs/objects.md").read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if len(row) >= 5 and "`" in row[1]]
    assert len(rows) >= 15

    def listed(cell):
        return yaml.safe_load("\n".join(re.findall(r"`([^`]*)`", cell.replace("<br>", "\n"))))

    for row in rows:
        assert not list(OBJECTS.iter_errors(listed(row[1]))), row[1]
    refused = {row[0].strip("| ") for row in rows if list(OBJECTS.iter_errors(listed(row[3])))}
    assert {"objectName", "objectType", "jmesPath", "crossAccountRoleArn", "filePermission", "objectEncoding", "optional", "an unknown field"} <= refused


def denied(cluster, manifest):
    """What the policy says against a class, or nothing."""
    try:
        cluster.kubectl("apply", "--dry-run=server", "-n", "default", "-f", "-", input=json.dumps(manifest))
        return ""
    except Failed as error:
        said = str(error)
        return said if "ValidatingAdmissionPolicy" in said else ""


@pytest.fixture
def policy(provider):
    """The chart's, which denies."""
    made = objects({"classPolicy": {"enabled": True, "action": "Deny"}})
    both = [made["ValidatingAdmissionPolicy"], made["ValidatingAdmissionPolicyBinding"]]
    provider.apply(*both)
    nothing = {"apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass", "metadata": {"name": "x"}, "spec": {"provider": "alibabacloud"}}
    try:
        provider.wait_for(lambda: denied(provider, nothing), 30, "the policy")
        yield provider
    finally:
        for thing in both:
            provider.kubectl("delete", thing["kind"], thing["metadata"]["name"])


def test_policy_denies_only_what_check_calls_an_error(policy):
    def checked():
        found = policy.get("validatingadmissionpolicy", "x-csi-secrets-store-provider-alibabacloud-classes")
        return found if found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"] else None

    status = policy.wait_for(checked, 30, "the type check")["status"]
    assert not status.get("typeChecking", {}).get("expressionWarnings")
    said = {}
    for name, manifest, broken in classes():
        # What the API server has no namespace for, and what is no text, is refused before.
        manifest["metadata"] = {"name": "judged"}
        if found := denied(policy, manifest):
            assert broken, (name, found)
            said[name] = found
    for name, words in {
        "field-as-parameter": "parameters: ",
        "identity-not-allowed": "identity is not one that the operator allows (allowed: pod)",
        "form-of-azure": "is the Azure provider's form",
    }.items():
        assert words in said.get(name, ""), (name, said)
