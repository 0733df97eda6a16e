{{/* Names leave room for the longest suffix, "-dispatcher-admin". */}}
{{- define "tidegate.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- end -}}
{{- $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{/* (list $ component): the name of its Deployment, ServiceAccount and so on. */}}
{{- define "tidegate.name" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $fullname := include "tidegate.fullname" $root -}}
{{- if eq $component "all-in-one" -}}{{ $fullname }}{{- else -}}{{ $fullname }}-{{ $component }}{{- end -}}
{{- end -}}

{{/* ClusterRoles have no namespace: two releases of one name must not share them. */}}
{{- define "tidegate.clusterName" -}}
{{ .Release.Namespace }}-{{ include "tidegate.fullname" . }}
{{- end -}}

{{/* The kinds of Pods, by mode. */}}
{{- define "tidegate.components" -}}
{{- if eq .Values.mode "all-in-one" -}}
list: [all-in-one]
{{- else -}}
list: [gateway, dispatcher, controller]
{{- end -}}
{{- end -}}

{{/* Which Pods have the doors, and which the controller. */}}
{{- define "tidegate.doors" -}}
{{ ternary "all-in-one" "gateway" (eq .Values.mode "all-in-one") }}
{{- end -}}

{{- define "tidegate.controller" -}}
{{ ternary "all-in-one" "controller" (eq .Values.mode "all-in-one") }}
{{- end -}}

{{/* (list $ component): what a selector may ask for; never changes. */}}
{{- define "tidegate.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (list $ component) */}}
{{- define "tidegate.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "tidegate.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tidegate
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tidegate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* (list $ component): of Pods, without what changes with every version of the chart. */}}
{{- define "tidegate.labels.pod" -}}
{{- omit (include "tidegate.labels" . | fromYaml) "helm.sh/chart" "app.kubernetes.io/managed-by" | toYaml -}}
{{- end -}}

{{/* The gateway's Service, from anywhere in the cluster. */}}
{{- define "tidegate.gateway.host" -}}
{{ include "tidegate.fullname" . }}-gateway.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* Whether an operator is named for the admin door; empty is no. */}}
{{- define "tidegate.admin.named" -}}
{{- $admin := default dict .Values.config.admin -}}
{{- if or .Values.admin.tokens .Values.admin.oidc.issuer $admin.tokens (dig "oidc" "issuer" "" $admin) -}}
true
{{- end -}}
{{- end -}}

{{- define "tidegate.admin.scheme" -}}
{{ ternary "HTTPS" "HTTP" (not (empty .Values.admin.tls.secretName)) }}
{{- end -}}

{{/* Whether somebody outside of the cluster may reach the doors, as far as the chart knows. */}}
{{- define "tidegate.exposed" -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled (ne .Values.gateway.service.type "ClusterIP") -}}
true
{{- end -}}
{{- end -}}

{{/* Whether a Pod of the cluster may send without an identity, as far as the chart knows. */}}
{{- define "tidegate.anonymous.inside" -}}
{{- $networks := dig "receive" "anonymous" .Values.gateway.anonymous .Values.config -}}
{{- if kindIs "slice" $networks -}}
{{- range $networks -}}
{{- if not (or (hasPrefix "127." .) (hasPrefix "::1" .)) }}true{{ end -}}
{{- end -}}
{{- else -}}
true
{{- end -}}
{{- end -}}

{{/* (list base over): lays the one over the other, in place. Also false, 0 and [] count. */}}
{{- define "tidegate.merge" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "tidegate.merge" (list (get $base $key) $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What no schema can say. Each of these would run and do harm, or not run at all. */}}
{{- define "tidegate.check" -}}
{{- $config := .Values.config -}}
{{- $anonymous := dig "receive" "anonymous" .Values.gateway.anonymous $config -}}
{{- if and (include "tidegate.exposed" .) (not (kindIs "slice" $anonymous)) -}}
{{- fail "gateway.anonymous: must be said where the gateway is open to the outside (ingress, httpRoute or the type of its Service): a proxy has a private address, so whoever reaches it could send without an identity; [] is nobody" -}}
{{- end -}}
{{- range $path, $value := dict
  "receive.listen" "8080 is the port of the chart's Services and policies"
  "admin.listen" "8081 is the port of the chart's probes and policies"
  "receive.tls.listen" "set gateway.tls"
  "admin.tls.certificate" "set admin.tls, which probes follow"
  "shutdown.grace" "set shutdownGraceSeconds, which Pods' time to end follows"
  "controller.namespaces" "set controller.namespaces, which the Roles follow"
  "resources" "Subscriptions and Applications come from the controller" -}}
{{- $there := true -}}
{{- $found := $config -}}
{{- range splitList "." $path -}}
{{- $there = and $there (kindIs "map" $found) (hasKey (ternary $found dict (kindIs "map" $found)) .) -}}
{{- $found = ternary (get (ternary $found dict (kindIs "map" $found)) .) dict $there -}}
{{- end -}}
{{- if $there -}}
{{- fail (printf "config.%s: cannot be set: %s" $path $value) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.dispatcher.autoscaling.enabled .Values.dispatcher.keda.enabled -}}
{{- fail "dispatcher: autoscaling and keda cannot both be enabled" -}}
{{- end -}}
{{- if and .Values.dispatcher.keda.enabled (not .Values.dispatcher.keda.prometheusAddress) -}}
{{- fail "dispatcher.keda.prometheusAddress: must be given" -}}
{{- end -}}
{{- if and .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- fail "monitoring: podMonitor and serviceMonitor cannot both be enabled: each Pod would be scraped twice" -}}
{{- end -}}
{{- if and (eq .Values.nats.durability "replicated") (lt (int .Values.nats.replicas) 3) -}}
{{- fail "nats.durability: replicated needs nats.replicas of 3 or more" -}}
{{- end -}}
{{- if and .Values.kyma.aliases.enabled (ne (int .Values.gateway.service.port) 80) -}}
{{- fail "gateway.service.port: must be 80 with kyma.aliases, which are names in DNS and keep the port" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: must name a Gateway" -}}
{{- end -}}
{{- end -}}

{{/* What the controller may do in each of its namespaces. */}}
{{- define "tidegate.rbac.namespaced" -}}
# patch is for the finalizer.
- apiGroups: [eventing.tidegate.dev, eventing.kyma-project.io]
  resources: [subscriptions]
  verbs: [get, list, watch, patch]
- apiGroups: [eventing.tidegate.dev, eventing.kyma-project.io]
  resources: [subscriptions/status]
  verbs: [patch]
# Sinks that a Subscription names instead of writing an address.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [serverless.kyma-project.io]
  resources: [functions]
  verbs: [get, list, watch]
- apiGroups: [serving.knative.dev]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [eventing.knative.dev]
  resources: [brokers]
  verbs: [get, list, watch]
- apiGroups: [messaging.knative.dev]
  resources: [channels]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/*
What waits for all Subscriptions. Every process shows the same of a Subscription, so the highest
counts; of those that share a consumer, what nobody has read of it comes on top.
*/}}
{{- define "tidegate.lag" -}}
(sum(max by (subscription) (tidegate_consume_events_undelivered + tidegate_consume_events_unsettled)) or vector(0)) + (sum(max by (shard) (tidegate_consume_shared_events_unread)) or vector(0))
{{- end -}}

{{/* (list protocols ports peers): a rule of egress; without peers it is anywhere. */}}
{{- define "tidegate.policy.out" -}}
{{- $protocols := index . 0 -}}
- ports:
  {{- range $port := index . 1 }}
  {{- range $protocols }}
    - { port: {{ $port }}, protocol: {{ . }} }
  {{- end }}
  {{- end }}
  {{- with index . 2 }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* (list port scheme interval) */}}
{{- define "tidegate.scrape" -}}
- port: {{ index . 0 }}
  path: /metrics
  interval: {{ index . 2 }}
  scheme: {{ index . 1 }}
  {{- if eq (index . 1) "https" }}
  # Pods are asked by address, which no certificate names. Metrics hold nothing secret.
  tlsConfig: { insecureSkipVerify: true }
  {{- end }}
{{- end -}}
