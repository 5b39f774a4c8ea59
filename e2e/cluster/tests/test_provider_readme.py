"""The README's first example on a real node, word for word: only the image and the cluster's issuer differ."""

from cluster import readme
from cluster.images import BUSYBOX

DATABASE = '{"user":"checkout","password":"velvet-harbour-12"}'


def test_first_example_of_the_readme_has_the_files_that_it_names(provider):
    with provider.namespace("shop"):
        provider.apply(readme.manifests(BUSYBOX))
        provider.wait_ready("checkout", "shop")
        assert provider.listing("checkout", namespace="shop") == readme.files()

        def read(file):
            return provider.read("checkout", f"/secrets/{file}", "shop").decode()

        assert read("database.json") == DATABASE
        assert read("database-password") == "velvet-harbour-12"
        assert read("smtp-password") == "crimson-valley-84"
        # Through ..data, which the driver's writer has.
        mode = provider.exec("checkout", "/bin/stat", "-L", "-c", "%a", "/secrets/database-password", namespace="shop")
        assert mode.strip() == "400"
