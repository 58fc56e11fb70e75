"""The Kubernetes example: what Kubernetes and Dask's operator would say of it, without either."""

from __future__ import annotations

import copy
import re
from functools import cache
from importlib.metadata import files
from pathlib import Path
from typing import Any

import dask.config
import kubernetes_validate
import pytest
import yaml
from dask.utils import parse_bytes
from distributed.cli import dask_scheduler, dask_worker
from jsonschema import Draft202012Validator

EXAMPLE = Path(__file__).parent.parent / "examples" / "kubernetes"
VERSIONS = ("1.29", "1.37")  # of Kubernetes: the oldest and the newest that this is for
OPERATOR = "kubernetes.dask.org/v1"


def _read() -> dict[str, Any]:
    """The objects of all files, by file, kind and name."""
    return {
        f"{path.name} {each['kind']} {each['metadata']['name']}": each
        for path in sorted(EXAMPLE.glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    }


OBJECTS = _read()
CUSTOM = [name for name, each in OBJECTS.items() if each["apiVersion"] == OPERATOR]


def _pods() -> dict[str, Any]:
    """The pod templates of all objects, by the object's name and the template's place in it."""
    found = {}
    for name, each in OBJECTS.items():
        spec = each.get("spec", {})
        if each["kind"] == "Job":
            found[f"{name} driver"] = spec["template"]["spec"]
        for part in ("scheduler", "worker"):
            if part in spec:
                found[f"{name} {part}"] = spec[part]["spec"]
    return found


PODS = _pods()
COMMANDS = [name for name in PODS if "driver" not in name]


@cache
def _schema(kind: str) -> dict[str, Any]:
    """What the operator's own definition of a kind says, from the chart in its package."""
    [path] = [each for each in files("dask-kubernetes") or () if each.match(f"*/crds/{kind.lower()}.yaml")]
    definition = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    [version] = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    for name, kind_of in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        schema["properties"].setdefault(name, {"type": kind_of})
    return _strict(schema)


def _strict(schema: Any) -> Any:
    """The schema, refusing fields that it doesn't name, as `kubectl apply` does: the server would drop them."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


def _said(kind: str, each: Any) -> list[str]:
    found = Draft202012Validator(_schema(kind)).iter_errors(each)
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [name for name in OBJECTS if name not in CUSTOM])
def test_objects_of_kubernetes_fit_its_schemas(name, version):
    """Jobs, policies and the like have no field that Kubernetes doesn't know, and all in the right type."""
    kubernetes_validate.validate(OBJECTS[name], version, strict=True)


@pytest.mark.parametrize("name", CUSTOM)
def test_objects_of_the_operator_fit_its_schemas(name):
    """Clusters, worker groups and autoscalers have no field that the operator's definitions don't know."""
    assert _said(OBJECTS[name]["kind"], OBJECTS[name]) == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PODS)
def test_pods_fit_the_schemas_of_kubernetes(name, version):
    """What the operator makes pods of is a pod: its own definitions are of an old Kubernetes."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": PODS[name]}

    kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize("name", CUSTOM)
def test_a_misspelt_field_is_found(name):
    """The validation is strict: a field that is not there, and one of the wrong type, are both said."""
    wrong = copy.deepcopy(OBJECTS[name])
    wrong["spec"]["wrong"] = 1
    wrong["spec"].update({key: "many" for key in ("replicas", "maximum", "idleTimeout") if key in wrong["spec"]})

    said = _said(wrong["kind"], wrong)

    assert any("'wrong' was unexpected" in each for each in said)
    assert len(said) == 1 + ("many" in wrong["spec"].values())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_misspelt_field_of_kubernetes_is_found(version):
    """The same of Kubernetes' own objects, deep inside: in a container of a Job's pod, in a rule of a policy."""
    job = copy.deepcopy(OBJECTS["job.yaml Job clean-readings-1"])
    [container] = job["spec"]["template"]["spec"]["containers"]
    container["comand"] = container.pop("args")
    policy = copy.deepcopy(OBJECTS["network.yaml NetworkPolicy lakeflow-driver"])
    policy["spec"]["egress"][0]["port"] = []

    for wrong, field in ((job, "comand"), (policy, "port")):
        with pytest.raises(kubernetes_validate.ValidationError, match=f"'{field}' was unexpected"):
            kubernetes_validate.validate(wrong, version, strict=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_dask_takes_the_commands(name):
    """Each option of the schedulers' and workers' commands is one of Dask's command line."""
    [container] = PODS[name]["containers"]
    program, kind, *options = container["args"]

    context = {"scheduler": dask_scheduler, "worker": dask_worker}[kind].main.make_context(kind, options)

    assert program == "dask"
    assert context.params["protocol"] == "tls"
    assert not context.args


def test_dask_knows_the_settings():
    """Each setting is one that Dask has a default for; none is misspelt."""
    settings = yaml.safe_load(OBJECTS["settings.yaml ConfigMap lakeflow-dask"]["data"]["dask.yaml"])

    for name in _leaves(settings):
        dask.config.get(name.removesuffix(".POLARS_MAX_THREADS"))


def test_the_settings_are_those_of_the_page():
    """A cluster on Kubernetes is set up as docs/cluster.md says for any."""
    page = (EXAMPLE.parents[1] / "docs" / "cluster.md").read_text(encoding="utf-8")
    said = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1])
    settings = yaml.safe_load(OBJECTS["settings.yaml ConfigMap lakeflow-dask"]["data"]["dask.yaml"])

    assert dask.config.merge(settings, said) == settings


def _leaves(settings: Any, before: str = "") -> list[str]:
    if not isinstance(settings, dict):
        return [before]
    return [leaf for name, each in settings.items() for leaf in _leaves(each, f"{before}.{name}".lstrip("."))]


@pytest.mark.parametrize("name", PODS)
def test_pods_have_little_to_lose(name):
    """No root, no privilege, nothing to write to but what is mounted, no token of the API, and a limit of memory."""
    pod = PODS[name]
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]


@pytest.mark.parametrize("name", PODS)
def test_pods_have_what_they_mount(name):
    """Each mount has its volume; settings and certificates lie where the settings and Dask look for them."""
    [container] = PODS[name]["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    settings = OBJECTS["settings.yaml ConfigMap lakeflow-dask"]
    volumes = {each["name"]: each for each in PODS[name]["volumes"]}

    assert mounts.keys() == volumes.keys()
    assert volumes["settings"]["configMap"]["name"] == settings["metadata"]["name"]
    assert mounts["settings"] in dask.config.paths or mounts["settings"] == "/etc/dask"
    paths = re.findall(r"/etc/\S+", settings["data"]["dask.yaml"])
    assert {str(Path(path).parent) for path in paths} == {mounts["tls"]}


@pytest.mark.parametrize("name", [name for name in PODS if name.endswith("worker")])
def test_workers_leave_memory_for_their_nannies(name):
    """A worker is ended by its nanny before the kernel ends the pod."""
    [container] = PODS[name]["containers"]
    options = container["args"]
    limit = parse_bytes(options[options.index("--memory-limit") + 1])

    assert limit + 200 * 2**20 <= parse_bytes(container["resources"]["limits"]["memory"] + "B")


def test_all_pods_have_one_image():
    """Scheduler, workers and driver run the same lakeflow."""
    assert len({pod["containers"][0]["image"] for pod in PODS.values()}) == 1


def test_both_groups_of_workers_are_alike():
    """The second group differs from the first in where it runs, and in nothing else."""
    spot = dict(PODS["spot.yaml DaskWorkerGroup lakeflow-spot worker"])
    for name in ("nodeSelector", "tolerations"):
        del spot[name]

    assert spot == PODS["cluster.yaml DaskCluster lakeflow worker"]


def test_everybody_finds_the_scheduler():
    """Workers and driver name the operator's service for the scheduler, over TLS, at a port that it has."""
    cluster = OBJECTS["cluster.yaml DaskCluster lakeflow"]
    service = cluster["spec"]["scheduler"]["service"]
    address = f"tls://{cluster['metadata']['name']}-scheduler:{service['ports'][0]['port']}"

    for name, pod in PODS.items():
        said = {each["name"]: each.get("value") for each in pod["containers"][0].get("env", [])}
        if not name.endswith("scheduler"):
            assert said["DASK_SCHEDULER_ADDRESS"] == address
    # What the operator calls them.
    assert [each["name"] for each in service["ports"]] == ["tcp-comm", "http-dashboard"]
    assert OBJECTS["autoscaler.yaml DaskAutoscaler lakeflow"]["spec"]["cluster"] == cluster["metadata"]["name"]
    assert OBJECTS["spot.yaml DaskWorkerGroup lakeflow-spot"]["spec"]["cluster"] == cluster["metadata"]["name"]


def test_policies_let_in_the_ports_that_are_open():
    """A port that a policy lets in is one that the pods it is for listen on."""
    for part in ("scheduler", "worker"):
        pod = PODS[f"cluster.yaml DaskCluster lakeflow {part}"]
        listening = {each["containerPort"] for each in pod["containers"][0]["ports"]}
        policy = OBJECTS[f"network.yaml NetworkPolicy lakeflow-{part.replace('worker', 'workers')}"]["spec"]
        ports = [port for rule in policy["ingress"] for port in rule["ports"]]

        assert policy["podSelector"]["matchLabels"]["dask.org/component"] == part
        assert {number for port in ports for number in (port["port"], port.get("endPort", port["port"]))} <= listening
    driver = OBJECTS["network.yaml NetworkPolicy lakeflow-driver"]["spec"]
    job = OBJECTS["job.yaml Job clean-readings-1"]["spec"]["template"]["metadata"]["labels"]
    assert driver["podSelector"]["matchLabels"].items() <= job.items()
    assert not any(label.startswith("dask.org/") for label in job)  # the operator takes a pod of its label for its own
