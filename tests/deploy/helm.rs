//! Tests of the Helm chart: what the real `helm` makes of it, judged by the schemas of Kubernetes and of the custom
//! resources, and compared with the manifests in deploy/kubernetes.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    check, documents, file,
    harness::{Directory, gateway::KEY},
    installed,
    kubernetes::{KEYS, VERSIONS, manifest},
    promtool, succeed, table, time_to_stop,
};

const CHART: &str = "deploy/helm/cursorgate";

/// Values that switch everything on.
const EVERYTHING: &str = r#"
image: { tag: "1.2.3", pullSecrets: [{ name: registry }] }
env: [{ name: A, value: "b" }]
envFrom: [{ secretRef: { name: more } }]
volumes: [{ name: exports, persistentVolumeClaim: { claimName: exports } }]
volumeMounts: [{ name: exports, mountPath: /var/lib/cursorgate }]
adminTls: true
podAnnotations: { a: "b" }
podLabels: { team: api }
nodeSelector: { kubernetes.io/os: linux }
tolerations: [{ key: a, operator: Exists }]
affinity: { nodeAffinity: {} }
priorityClassName: high
service: { annotations: { a: "b" } }
autoscaling: { enabled: true }
monitoring:
  podMonitor: { enabled: true, labels: { release: prometheus }, tokenSecret: { name: cursorgate-keys, key: read-token } }
  rules: { enabled: true, labels: { release: prometheus } }
networkPolicy: { egress: [{ to: [{ ipBlock: { cidr: 192.0.2.0/24 } }], ports: [{ port: 443, protocol: TCP }] }] }
ingress: { enabled: true, className: nginx, annotations: { a: "b" }, tls: [{ secretName: tls, hosts: [api.example.com] }] }
httpRoute: { enabled: true, parentRefs: [{ name: gateway, namespace: infra }] }
"#;

/// The kinds that an extension of Kubernetes defines.
const CUSTOM: [&str; 3] = ["HTTPRoute", "PodMonitor", "PrometheusRule"];

fn helm() -> Command {
    let mut helm = installed("deploy/helm/helm");
    // Without a folder of its own, it would read the configuration of the account.
    helm.env("HELM_CONFIG_HOME", std::env::temp_dir()).env("HELM_CACHE_HOME", std::env::temp_dir());
    helm
}

/// Returns what Helm makes of the chart with these values, or what it says against them.
fn rendered(values: &str, directory: &Directory) -> Result<Vec<u8>, String> {
    fs::write(directory.file("values.yaml"), values).expect("a file of the test");
    let mut command = helm();
    command.args(["template", "gate"]).arg(file(CHART)).args(["--namespace", "shop", "--kube-version", "1.30.0"]);
    let output = command.arg("--values").arg(directory.file("values.yaml")).output().expect("it runs");
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A rendered chart.
struct Rendered {
    directory: Directory,
    documents: Vec<Value>,
}

impl Rendered {
    /// Renders the chart with these values.
    fn with(values: &str) -> Self {
        let directory = Directory::new();
        let rendered = rendered(values, &directory).expect("the values fit the schema");
        let path = directory.file("rendered.yaml");
        fs::write(&path, rendered).expect("a file of the test");
        let documents = documents(&[path.to_str().expect("a path of text")]);
        Self { directory, documents }
    }

    /// Returns the documents of a kind.
    fn all(&self, kind: &str) -> Vec<&Value> {
        self.documents.iter().filter(|document| document["kind"] == kind).collect()
    }

    fn one(&self, kind: &str) -> &Value {
        self.all(kind).first().unwrap_or_else(|| panic!("no {kind}"))
    }

    /// Returns the specification of the pods.
    fn pod(&self) -> &Value {
        &self.one("Deployment")["spec"]["template"]["spec"]
    }
}

#[test]
fn helm_and_the_schemas_accept_the_chart() {
    succeed(helm().args(["lint", "--strict"]).arg(file(CHART)));
    for values in ["", EVERYTHING] {
        let rendered = Rendered::with(values);
        let (custom, usual): (Vec<_>, Vec<_>) =
            rendered.documents.iter().partition(|document| CUSTOM.iter().any(|kind| document["kind"] == *kind));
        let path = rendered.directory.file("usual.json");
        // JSON is YAML.
        let text: String = usual.iter().map(|document| format!("---\n{document}\n")).collect();
        fs::write(&path, text).expect("a file of the test");
        for version in VERSIONS {
            let mut validate = installed("deploy/python/bin/kubernetes-validate");
            let said = succeed(validate.args(["--strict", "--kubernetes-version", version]).arg(&path));
            assert_eq!(said.matches(" passed for ").count(), usual.len(), "{said}");
        }
        assert_eq!(custom.len(), if values.is_empty() { 0 } else { 4 });
        let node = installed("deploy/node/package.json").get_program().to_owned();
        let folder = std::path::Path::new(&node).parent().expect("a folder").to_owned();
        let mut models = Command::new("node");
        models.arg(file("tests/deploy/models.mjs")).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut models = models.spawn().expect("node runs");
        let text = serde_json::to_vec(&custom).expect("JSON");
        models.stdin.take().expect("it is piped").write_all(&text).expect("it reads");
        let output = models.wait_with_output().expect("it ends");
        assert!(output.status.success(), "the definitions of {CUSTOM:?} refuse the chart");
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), custom.len());
    }
}

/// The chart and the manifests deploy the same pod with the same configuration.
#[test]
fn the_chart_is_the_manifests_with_values() {
    let rendered = Rendered::with("");
    let configuration = &rendered.one("ConfigMap")["data"]["cursorgate.toml"];
    assert_eq!(*configuration, manifest("ConfigMap")["data"]["cursorgate.toml"]);
    let (mut pod, mut known) = (rendered.pod().clone(), manifest("Deployment")["spec"]["template"]["spec"].clone());
    for pod in [&mut pod, &mut known] {
        let pod = pod.as_object_mut().expect("a table");
        // Names and labels contain the name of the release.
        pod.remove("topologySpreadConstraints");
        pod.remove("initContainers");
        pod["volumes"][0]["configMap"]["name"] = Value::Null;
        let container = pod["containers"][0].as_object_mut().expect("a table");
        container.remove("image");
        container.remove("imagePullPolicy");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            container[probe]["httpGet"]["scheme"] = "HTTP".into();
        }
    }
    assert_eq!(pod, known);
    let policy = |policy: &Value| (policy["spec"]["ingress"].clone(), policy["spec"]["egress"].clone());
    assert_eq!(policy(rendered.one("NetworkPolicy")), policy(&manifest("NetworkPolicy")));
    let image = &rendered.pod()["containers"][0]["image"];
    assert_eq!(*image, format!("cursorgate:{}", env!("CARGO_PKG_VERSION")));
    let labels = &rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        &rendered.one("Service")["spec"]["selector"],
        &rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ] {
        let selector = selector.as_object().expect("labels");
        assert!(selector.len() == 2 && selector.iter().all(|(name, value)| labels[name] == *value), "{selector:?}");
    }
}

/// A configuration in the values is checked before the pod serves, and fits the rest of the values.
#[test]
fn values_fit_each_other() {
    let rendered = Rendered::with("");
    let configuration = rendered.one("ConfigMap")["data"]["cursorgate.toml"].as_str().expect("a text");
    let (is_valid, report) = check(configuration, KEYS, &["1", "admin"], KEY);
    assert!(is_valid, "{report}");
    let init = &rendered.pod()["initContainers"][0];
    assert_eq!(init["args"], json!(["check", "--quiet", "--config", "/etc/cursorgate/config/cursorgate.toml"]));
    assert_eq!(init["volumeMounts"], rendered.pod()["containers"][0]["volumeMounts"]);
    let grace = rendered.pod()["terminationGracePeriodSeconds"].as_u64().expect("seconds");
    assert!(time_to_stop(configuration).as_secs() < grace);
    let parsed = table(configuration);
    let port = |address: &Value| address.as_str().and_then(|text| text.rsplit(':').next()?.parse::<u64>().ok());
    let ports = &rendered.pod()["containers"][0]["ports"];
    assert_eq!(ports[0]["containerPort"].as_u64(), port(&parsed["listeners"]["public"]["address"]));
    assert_eq!(ports[1]["containerPort"].as_u64(), port(&parsed["admin"]["address"]));
}

/// Helm compares values with values.schema.json before it renders anything.
#[test]
fn values_that_mean_nothing_are_refused() {
    let directory = Directory::new();
    for (values, said) in [
        ("replica: 3", "additional properties 'replica' not allowed"),
        ("replicas: many", "at '/replicas': got string, want integer"),
        ("ports: { http: 80800 }", "at '/ports/http': maximum"),
        ("image: { pullPolicy: Sometimes }", "at '/image/pullPolicy': value must be one of"),
        ("resources: { limits: { memory: null } }", "at '/resources/limits': missing property 'memory'"),
        ("podLabels: { release: 3 }", "at '/podLabels/release': got number, want string"),
        ("config: { routes: {} }", "at '/config': got object, want string"),
        ("monitoring: { podMonitor: { tokenSecret: { name: a } } }", "properties 'key' required, if 'name' exists"),
        ("httpRoute: { enabled: true }", "at '/httpRoute/parentRefs': minItems"),
    ] {
        let fault = rendered(values, &directory).expect_err(values);
        assert!(fault.contains(said), "{values}: {fault}");
    }
}

#[test]
fn everything_can_be_switched_on() {
    let rendered = Rendered::with(EVERYTHING);
    assert_eq!(rendered.pod()["containers"][0]["livenessProbe"]["httpGet"]["scheme"], "HTTPS");
    let endpoint = &rendered.one("PodMonitor")["spec"]["podMetricsEndpoints"][0];
    assert_eq!((&endpoint["port"], &endpoint["scheme"]), (&"admin".into(), &"https".into()));
    assert_eq!(endpoint["authorization"]["credentials"]["key"], "read-token");
    let scaler = &rendered.one("HorizontalPodAutoscaler")["spec"];
    assert_eq!(scaler["metrics"][0]["pods"]["metric"]["name"], "cursorgate_requests_in_flight");
    assert!(rendered.one("Deployment")["spec"]["replicas"].is_null(), "the autoscaler decides");
    // The rules are those of deploy/prometheus.
    let rules = rendered.all("PrometheusRule");
    for (rule, name) in rules.iter().zip(["recording", "alerts"]) {
        let known = documents(&[&format!("deploy/prometheus/{name}.yml")]).remove(0);
        assert_eq!(rule["spec"], known, "{name}");
        let path = rendered.directory.file(name);
        fs::write(&path, rule["spec"].to_string()).expect("a file of the test");
        succeed(promtool().args(["check", "rules"]).arg(&path));
    }
    assert_eq!(rules.len(), 2);
    let backend = &rendered.one("HTTPRoute")["spec"]["rules"][0]["backendRefs"][0];
    assert_eq!((&backend["name"], &backend["port"]), (&"gate-cursorgate".into(), &80.into()));
    let egress = rendered.one("NetworkPolicy")["spec"]["egress"].to_string();
    assert!(egress.contains("192.0.2.0/24"), "{egress}");
}

/// A pod whose metrics need no token is scraped without one, and without switches there is nothing that needs an
/// extension of the cluster.
#[test]
fn nothing_that_a_plain_cluster_lacks_is_on_by_default() {
    let kinds: Vec<String> = Rendered::with("").documents.iter().map(|each| each["kind"].to_string()).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    let monitor = Rendered::with("monitoring: { podMonitor: { enabled: true } }");
    assert!(monitor.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["authorization"].is_null());
}
