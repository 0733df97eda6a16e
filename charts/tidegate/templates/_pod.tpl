{{/*
A Deployment. root, component (gateway, dispatcher, controller, all-in-one) and values (the section
of the component). What differs between components is asked here, so that they cannot drift apart.
*/}}
{{- define "tidegate.deployment" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $values := .values -}}
{{- $names := list $root $component -}}
{{- $roles := ternary (list "both" "controller") (list $component) (eq $component "all-in-one") -}}
{{- $doors := or (has "gateway" $roles) (has "both" $roles) -}}
{{- $scaled := or (dig "autoscaling" "enabled" false $values) (dig "keda" "enabled" false $values) -}}
{{- $grace := add $root.Values.shutdownGraceSeconds 10 -}}
{{- if $doors }}{{ $grace = add $grace $root.Values.gateway.preStopSeconds }}{{ end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "tidegate.name" $names }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "tidegate.labels" $names | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if not $scaled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    {{- $strategy := $values.strategy }}
    {{- if eq $strategy.type "Recreate" }}{{ $strategy = omit $strategy "rollingUpdate" }}{{ end }}
    {{- toYaml $strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "tidegate.selector" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- $labels := include "tidegate.labels.pod" $names | fromYaml }}
        {{- toYaml (merge $labels $values.podLabels) | nindent 8 }}
      annotations:
        # A changed configuration is read by new Pods.
        checksum/config: {{ include "tidegate.config" $root | sha256sum }}
        kubectl.kubernetes.io/default-container: {{ first $roles | replace "both" "tidegate" }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "tidegate.name" $names }}
      # Where the API server is spoken to, the token is mounted into that container alone.
      automountServiceAccountToken: false
      # Variables TIDEGATE_* would come from Services of that name.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $grace }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml $root.Values.podSecurityContext | nindent 8 }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- toYaml $values.topologySpreadConstraints | nindent 8 }}
      {{- else if $root.Values.topologySpread.enabled }}
      topologySpreadConstraints:
        {{- range $root.Values.topologySpread.keys }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: {{ $root.Values.topologySpread.whenUnsatisfiable }}
          labelSelector:
            matchLabels:
              {{- include "tidegate.selector" $names | nindent 14 }}
          # Those of the version before do not count during an update.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      containers:
        {{- range $roles }}
        {{- include "tidegate.container" (dict "root" $root "role" . "beside" (gt (len $roles) 1) "values" $values) | nindent 8 }}
        {{- end }}
      volumes:
        {{- include "tidegate.volumes" (dict "root" $root "roles" $roles) | nindent 8 }}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* A container: root, role (gateway, dispatcher, both, controller), beside (others), values. */}}
{{- define "tidegate.container" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $values := .values -}}
{{- $doors := or (eq $role "gateway") (eq $role "both") -}}
{{- $second := and .beside (eq $role "controller") -}}
{{- $admin := ternary "admin-control" "admin" $second -}}
- name: {{ $role | replace "both" "tidegate" }}
  image: {{ include "tidegate.image" $root | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  {{- if eq $role "controller" }}
  args: [controller, --config, /etc/tidegate/tidegate.yaml]
  {{- else if eq $role "both" }}
  args: [up, --config, /etc/tidegate/tidegate.yaml]
  {{- else }}
  args: [up, --config, /etc/tidegate/tidegate.yaml, --role, {{ $role }}]
  {{- end }}
  env:
    - name: POD_NAME
      valueFrom: { fieldRef: { fieldPath: metadata.name } }
    - name: POD_NAMESPACE
      valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
    {{- if eq $role "controller" }}
    - name: TIDEGATE__CONTROLLER__LEASE__NAMESPACE
      value: $(POD_NAMESPACE)
    {{- end }}
    {{- if $second }}
    # Containers of a Pod share its ports.
    - name: TIDEGATE__ADMIN__LISTEN
      value: 0.0.0.0:8082
    {{- end }}
    {{- with $root.Values.nats.urlSecret }}
    {{- if .name }}
    - name: TIDEGATE__BACKBONE__URL
      valueFrom: { secretKeyRef: { name: {{ .name | quote }}, key: {{ .key | quote }} } }
    {{- end }}
    {{- end }}
    {{- with $values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    {{- if $doors }}
    - { name: http, containerPort: 8080 }
    {{- if $root.Values.gateway.tls.secretName }}
    - { name: https, containerPort: 8443 }
    {{- end }}
    {{- end }}
    - { name: {{ $admin }}, containerPort: {{ ternary 8082 8081 $second }} }
  # The admin door answers from the first ready moment on.
  startupProbe:
    httpGet: { path: /healthz, port: {{ $admin }}, scheme: {{ include "tidegate.admin.scheme" $root }} }
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: {{ div (add $root.Values.startupSeconds 1) 2 }}
  livenessProbe:
    httpGet: { path: /healthz, port: {{ $admin }}, scheme: {{ include "tidegate.admin.scheme" $root }} }
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  readinessProbe:
    httpGet: { path: /readyz, port: {{ $admin }}, scheme: {{ include "tidegate.admin.scheme" $root }} }
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: 2
  {{- if and $doors (gt (int $root.Values.gateway.preStopSeconds) 0) (semverCompare ">=1.30.0-0" $root.Capabilities.KubeVersion.Version) }}
  lifecycle:
    preStop:
      # SIGTERM closes the doors at once, and endpoints take a moment to be gone. The image has no
      # shell, so the kubelet waits.
      sleep: { seconds: {{ $root.Values.gateway.preStopSeconds }} }
  {{- end }}
  resources:
    {{- $resources := ternary $root.Values.controller.resources $values.resources $second }}
    {{- toYaml $resources | nindent 4 }}
  securityContext:
    {{- toYaml $root.Values.securityContext | nindent 4 }}
  volumeMounts:
    # A file of its own, so that other volumes may be mounted beside it.
    - { name: config, mountPath: /etc/tidegate/tidegate.yaml, subPath: tidegate.yaml, readOnly: true }
    {{- if include "tidegate.nats.files" $root }}
    - { name: nats, mountPath: /etc/tidegate/nats, readOnly: true }
    {{- end }}
    {{- if include "tidegate.admin.files" $root }}
    - { name: admin-tokens, mountPath: /etc/tidegate/admin, readOnly: true }
    {{- end }}
    {{- if $root.Values.admin.tls.secretName }}
    - { name: admin-tls, mountPath: /etc/tidegate/admin-tls, readOnly: true }
    {{- end }}
    {{- if and $doors $root.Values.gateway.tls.secretName }}
    - { name: tls, mountPath: /etc/tidegate/tls, readOnly: true }
    {{- end }}
    {{- if has $role (list "dispatcher" "both") }}
    {{- range $index, $secret := $root.Values.secrets }}
    - { name: secret-{{ $index }}, mountPath: /etc/tidegate/secrets/{{ .namespace }}/{{ .secretName }}, readOnly: true }
    {{- end }}
    {{- end }}
    {{- if $doors }}
    {{- range $index, $secret := $root.Values.applicationSecrets }}
    - { name: application-secret-{{ $index }}, mountPath: /etc/tidegate/secrets/_applications/{{ $secret }}, readOnly: true }
    {{- end }}
    {{- range $index, $secret := $root.Values.sourceSecrets }}
    - { name: source-secret-{{ $index }}, mountPath: /etc/tidegate/secrets/_sources/{{ $secret }}, readOnly: true }
    {{- end }}
    {{- end }}
    {{- if eq $role "controller" }}
    - { name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
    {{- end }}
    {{- with $values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "tidegate.nats.files" -}}
{{- if or .Values.nats.credentials.secretName .Values.nats.tls.caSecretName -}}true{{- end -}}
{{- end -}}

{{- define "tidegate.admin.files" -}}
{{- if or .Values.admin.tokens (not (include "tidegate.admin.named" .)) -}}true{{- end -}}
{{- end -}}

{{/* root, roles (of the Pod's containers). 0440 is for the group of podSecurityContext.fsGroup. */}}
{{- define "tidegate.volumes" -}}
{{- $root := .root -}}
{{- $roles := .roles -}}
{{- $doors := or (has "gateway" $roles) (has "both" $roles) -}}
- name: config
  configMap:
    name: {{ include "tidegate.fullname" $root }}
{{- if include "tidegate.nats.files" $root }}
- name: nats
  projected:
    defaultMode: 0440
    sources:
      {{- with $root.Values.nats.credentials }}
      {{- if .secretName }}
      - secret: { name: {{ .secretName | quote }}, items: [{ key: {{ .key | quote }}, path: nats.creds }] }
      {{- end }}
      {{- end }}
      {{- with $root.Values.nats.tls }}
      {{- if .caSecretName }}
      - secret: { name: {{ .caSecretName | quote }}, items: [{ key: {{ .key | quote }}, path: ca.crt }] }
      {{- end }}
      {{- end }}
{{- end }}
{{- if include "tidegate.admin.files" $root }}
- name: admin-tokens
  projected:
    defaultMode: 0440
    sources:
      {{- range $root.Values.admin.tokens }}
      - secret: { name: {{ .secretName | quote }}, items: [{ key: {{ .key | quote }}, path: {{ .name | quote }} }] }
      {{- else }}
      - secret: { name: {{ include "tidegate.fullname" $root }}-admin, items: [{ key: token, path: operator }] }
      {{- end }}
{{- end }}
{{- with $root.Values.admin.tls.secretName }}
- name: admin-tls
  secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
{{- end }}
{{- with $root.Values.gateway.tls }}
{{- if and $doors .secretName }}
- name: tls
  projected:
    defaultMode: 0440
    sources:
      - secret: { name: {{ .secretName | quote }}, items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }] }
      {{- if .clientCaSecretName }}
      - secret: { name: {{ .clientCaSecretName | quote }}, items: [{ key: {{ .clientCaKey | quote }}, path: client-ca.crt }] }
      {{- end }}
{{- end }}
{{- end }}
{{- if or (has "dispatcher" $roles) (has "both" $roles) }}
{{- range $index, $secret := $root.Values.secrets }}
# One that is not there is its Subscriptions' trouble, not everybody's.
- name: secret-{{ $index }}
  secret: { secretName: {{ .secretName | quote }}, defaultMode: 0440, optional: true }
{{- end }}
{{- end }}
{{- if $doors }}
{{- range $index, $secret := $root.Values.applicationSecrets }}
- name: application-secret-{{ $index }}
  secret: { secretName: {{ $secret | quote }}, defaultMode: 0440, optional: true }
{{- end }}
{{- range $index, $secret := $root.Values.sourceSecrets }}
- name: source-secret-{{ $index }}
  secret: { secretName: {{ $secret | quote }}, defaultMode: 0440, optional: true }
{{- end }}
{{- end }}
{{- if has "controller" $roles }}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: { path: token, expirationSeconds: 3607 }
      - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
      - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
{{- end }}
{{- end -}}
