"""The README's first example, as its reader has it."""

import json
import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent.parent / "README.md"


def blocks(language):
    """The blocks of one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def trust(issuer):
    """The role's trust policy, as JSON, with this cluster's issuer."""
    document = json.loads(blocks("json")[0])
    document["Statement"][0]["Condition"]["StringEquals"]["oidc:iss"] = issuer
    return json.dumps(document)


def policy():
    """What the role may read, as JSON."""
    return json.dumps(json.loads(blocks("json")[1]))


def manifests(image):
    """ServiceAccount, SecretProviderClass and Pod as YAML, with an image that the node has."""
    [text] = blocks("yaml")
    return text.replace("image: busybox\n", f"image: {image}\n")


def files():
    """The files that the text says the pod has."""
    said = re.search(r"The pod has the files (.*?) in `/secrets`", README.read_text(), re.DOTALL)[1]
    return sorted(re.findall(r"`([^`]+)`", said))
