{{- define "cursorgate.name" -}}
{{ if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "cursorgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cursorgate.labels" -}}
{{ include "cursorgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "cursorgate.metadata" -}}
name: {{ include "cursorgate.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "cursorgate.labels" . | nindent 2 }}
{{- end }}

{{- define "cursorgate.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "cursorgate.scheme" -}}
{{ if .Values.adminTls }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{- define "cursorgate.container" -}}
image: {{ include "cursorgate.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  # Folders, because the kubelet never updates single files (subPath).
  - { name: config, mountPath: /etc/cursorgate/config, readOnly: true }
  - { name: keys, mountPath: /etc/cursorgate/keys, readOnly: true }
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
