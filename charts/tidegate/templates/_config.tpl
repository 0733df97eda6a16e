{{/* What the chart itself has to say; any key of it can be overlaid by .Values.config. */}}
{{- define "tidegate.config.own" -}}
receive:
  listen: "0.0.0.0:8080"
  threads: {{ .Values.threads }}
  {{- if kindIs "slice" .Values.gateway.anonymous }}
  anonymous: {{ toJson .Values.gateway.anonymous }}
  {{- else }}
  anonymous: ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
  {{- end }}
  {{- with .Values.gateway.tls }}
  {{- if .secretName }}
  tls:
    listen: "0.0.0.0:8443"
    certificate: /etc/tidegate/tls/tls.crt
    key: /etc/tidegate/tls/tls.key
    {{- if .clientCaSecretName }}
    client_ca: /etc/tidegate/tls/client-ca.crt
    {{- end }}
  {{- end }}
  {{- end }}
backbone:
  {{- if not .Values.nats.urlSecret.name }}
  url: {{ .Values.nats.url | quote }}
  {{- end }}
  {{- if .Values.nats.credentials.secretName }}
  credentials_file: /etc/tidegate/nats/nats.creds
  {{- end }}
  {{- if .Values.nats.tls.caSecretName }}
  ca_file: /etc/tidegate/nats/ca.crt
  {{- end }}
  replicas: {{ .Values.nats.replicas }}
  durability: {{ default (ternary "replicated" "default" (ge (int .Values.nats.replicas) 3)) .Values.nats.durability }}
resources:
  from: kubernetes
  secrets: /etc/tidegate/secrets
deliver:
  egress:
    # A sink is another Pod; this one's own admin door is none.
    loopback: false
controller:
  namespaces: {{ toJson .Values.controller.namespaces }}
  cluster_domain: {{ .Values.clusterDomain }}
  lease:
    name: {{ include "tidegate.fullname" . }}-controller
  {{- if .Values.controller.keepDeployed }}
  deployed_objects: {{ include "tidegate.fullname" . }}-deployed
  {{- end }}
admin:
  listen: "0.0.0.0:8081"
  metrics_open: {{ .Values.admin.metricsOpen }}
  {{- if .Values.admin.tokens }}
  tokens:
    {{- range .Values.admin.tokens }}
    - { name: {{ .name | quote }}, file: {{ printf "/etc/tidegate/admin/%s" .name | quote }}, role: {{ .role }} }
    {{- end }}
  {{- else if not (include "tidegate.admin.named" .) }}
  tokens:
    - { name: operator, file: /etc/tidegate/admin/operator, role: operator }
  {{- end }}
  {{- with .Values.admin.oidc }}
  oidc: {{ toJson . }}
  {{- end }}
  {{- if .Values.admin.tls.secretName }}
  tls:
    certificate: /etc/tidegate/admin-tls/tls.crt
    key: /etc/tidegate/admin-tls/tls.key
  {{- end }}
telemetry:
  kyma_metrics: {{ .Values.kyma.metrics }}
shutdown:
  grace: {{ .Values.shutdownGraceSeconds }}s
{{- end -}}

{{/* tidegate.yaml */}}
{{- define "tidegate.config" -}}
{{- $config := include "tidegate.config.own" . | fromYaml -}}
{{- include "tidegate.merge" (list $config (deepCopy .Values.config)) -}}
{{- toYaml $config -}}
{{- end -}}
