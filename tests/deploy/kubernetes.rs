//! Tests of the Kubernetes manifests.

use serde_json::Value;

use crate::{
    check, documents, file,
    harness::{
        gateway::{Gateway, KEY},
        http,
        list::PLAIN,
        upstream::Upstream,
    },
    installed, seconds, succeed, table, text, time_to_stop,
};

const MANIFESTS: [&str; 6] = [
    "deploy/kubernetes/configmap.yaml",
    "deploy/kubernetes/deployment.yaml",
    "deploy/kubernetes/networkpolicy.yaml",
    "deploy/kubernetes/poddisruptionbudget.yaml",
    "deploy/kubernetes/secret.yaml",
    "deploy/kubernetes/service.yaml",
];
/// The oldest and the newest version of Kubernetes whose schemas the manifests are validated against.
pub(crate) const VERSIONS: [&str; 2] = ["1.30.0", "1.37.0"];
/// The folder in which the deployment mounts the keys.
pub(crate) const KEYS: &str = "/etc/cursorgate/keys";

/// Returns the manifest of a kind.
pub(crate) fn manifest(kind: &str) -> Value {
    documents(&MANIFESTS).into_iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

/// Returns the only container of the deployment, and its pod.
fn container() -> (Value, Value) {
    let pod = manifest("Deployment")["spec"]["template"]["spec"].clone();
    (pod["containers"][0].clone(), pod)
}

fn configuration() -> String {
    manifest("ConfigMap")["data"]["cursorgate.toml"].as_str().expect("a configuration").to_owned()
}

#[test]
fn the_schemas_of_kubernetes_accept_the_manifests() {
    for version in VERSIONS {
        let mut validate = installed("deploy/python/bin/kubernetes-validate");
        succeed(validate.args(["--strict", "--kubernetes-version", version]).args(MANIFESTS.map(file)));
    }
}

#[test]
fn the_kustomization_has_every_manifest_but_the_secret() {
    let resources = documents(&["deploy/kubernetes/kustomization.yaml"]).remove(0)["resources"].clone();
    let mut resources: Vec<_> = resources.as_array().expect("resources").iter().filter_map(Value::as_str).collect();
    resources.push("secret.yaml");
    resources.sort_unstable();
    let names: Vec<_> = MANIFESTS.iter().filter_map(|path| path.rsplit('/').next()).collect();
    assert_eq!(resources, names);
    let kustomization = documents(&["deploy/kubernetes/kustomization.yaml"]).remove(0);
    assert_eq!(kustomization["images"][0]["newTag"], env!("CARGO_PKG_VERSION"));
    assert_eq!(kustomization["images"][0]["name"], container().0["image"]);
}

#[test]
fn the_configuration_is_valid_with_a_key_and_not_with_the_placeholder() {
    let names: Vec<_> = {
        let secret = manifest("Secret")["stringData"].clone();
        secret.as_object().expect("keys").keys().cloned().collect()
    };
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (is_valid, report) = check(&configuration(), KEYS, &names, KEY);
    assert!(is_valid, "{report}");
    let placeholder = manifest("Secret")["stringData"]["1"].as_str().expect("a text").to_owned();
    let (is_valid, report) = check(&configuration(), KEYS, &names, &placeholder);
    assert!(!is_valid, "{report}");
}

#[test]
fn mounts_are_the_folders_that_the_program_reads() {
    let (container, pod) = container();
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    let mount = |name: &str| mounts.iter().find(|mount| mount["name"] == name).expect("a mount")["mountPath"].clone();
    assert_eq!(mount("keys"), KEYS);
    let path = format!("{}/cursorgate.toml", mount("config").as_str().expect("a folder"));
    assert_eq!(container["args"], serde_json::json!(["run", "--config", path]));
    // The same files are checked before the gateway starts.
    let checking = &pod["initContainers"][0];
    assert_eq!(checking["args"], serde_json::json!(["check", "--quiet", "--config", path]));
    for part in ["image", "volumeMounts", "securityContext"] {
        assert_eq!(checking[part], container[part], "{part}");
    }
    let volume = |index: usize| &pod["volumes"][index];
    assert_eq!(volume(0)["configMap"]["name"], manifest("ConfigMap")["metadata"]["name"]);
    assert_eq!(volume(1)["secret"]["secretName"], manifest("Secret")["metadata"]["name"]);
}

#[test]
fn ports_are_those_of_the_listeners() {
    let parsed = table(&configuration());
    let port = |address: &Value| address.as_str().and_then(|text| text.rsplit(':').next()?.parse::<u64>().ok());
    let (container, _) = container();
    let ports = container["ports"].as_array().expect("ports");
    let named = |name: &str| ports.iter().find(|port| port["name"] == name).expect("a port")["containerPort"].as_u64();
    assert_eq!(named("http"), port(&parsed["listeners"]["public"]["address"]));
    assert_eq!(named("admin"), port(&parsed["admin"]["address"]));
    let annotations = &manifest("Deployment")["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(
        annotations["prometheus.io/port"].as_str().map(str::to_owned),
        named("admin").map(|port| port.to_string())
    );
    assert_eq!(manifest("Service")["spec"]["ports"][0]["targetPort"], "http");
}

#[test]
fn probes_are_answered_by_the_admin_listener() {
    let upstream = Upstream::start(|exchange| exchange.reply("200 OK", &[], b""));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let (container, _) = container();
    for (probe, path) in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let asked = &container[probe]["httpGet"];
        assert_eq!((&asked["path"], &asked["port"]), (&Value::from(path), &Value::from("admin")), "{probe}");
        assert_eq!(http::get(gateway.admin, path).status, 200, "{probe}");
    }
}

#[test]
fn the_grace_period_of_a_pod_exceeds_the_time_to_stop() {
    let (container, pod) = container();
    let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    let configuration = configuration();
    assert!(time_to_stop(&configuration).as_secs() < grace, "{grace}");
    // `drain_delay` replaces a `preStop` hook, since the image contains no program for one.
    assert!(container["lifecycle"].is_null());
    let delay = table(&configuration)["server"]["drain_delay"].as_str().map(seconds).expect("a delay");
    let period = container["readinessProbe"]["periodSeconds"].as_u64().expect("seconds");
    assert!(delay.as_secs() > period, "{delay:?}");
}

#[test]
fn a_pod_has_no_rights_that_it_does_not_need() {
    let (container, pod) = container();
    let user =
        text("Dockerfile").lines().find_map(|line| line.strip_prefix("USER ")?.split(':').next()?.parse::<u64>().ok());
    let of_pod = &pod["securityContext"];
    assert_eq!(of_pod["runAsUser"].as_u64(), user);
    assert_eq!(of_pod["runAsNonRoot"], true);
    assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let own = &container["securityContext"];
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["capabilities"]["drop"], serde_json::json!(["ALL"]));
}

#[test]
fn all_selectors_are_the_labels_of_the_pods() {
    let labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(manifest("Deployment")["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(manifest("Service")["spec"]["selector"], labels);
    assert_eq!(manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"], labels);
    let policy = manifest("NetworkPolicy");
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"], labels);
    // The namespace of the upstream in configmap.yaml.
    let text = policy["spec"]["egress"].to_string();
    assert!(text.contains("kube-system") && text.contains("\"default\"") && !text.contains("ipBlock"), "{text}");
}
