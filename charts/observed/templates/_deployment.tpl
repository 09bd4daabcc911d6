{{- /* A process of Observed, the operator or what remediates: root, name, account, selector, replicas, remediate. */}}
{{- define "observed.deployment" -}}
{{- $name := .name }}
{{- $account := .account }}
{{- $selector := .selector }}
{{- $replicas := .replicas }}
{{- $remediate := .remediate }}
{{- with .root }}
{{- $servers := include "observed.servers" . | fromJson }}
{{- $metrics := include "observed.metrics" . | fromJson }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ quote $name }}
  namespace: {{ quote .Release.Namespace }}
  labels:
    {{- toYaml (merge (deepCopy $selector) (include "observed.labels" . | fromYaml)) | nindent 4 }}
spec:
  replicas: {{ $replicas }}
  # The new one is ready to go on before the old one ends. Which of them writes is decided by the Lease.
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
  template:
    metadata:
      annotations:
        {{- toYaml (merge (dict "kubectl.kubernetes.io/default-container" "observed") .Values.podAnnotations) | nindent 8 }}
      labels:
        {{- toYaml (merge (deepCopy $selector) .Values.podLabels .Values.commonLabels) | nindent 8 }}
    spec:
      serviceAccountName: {{ quote $account }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ quote . }}
      {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if gt (int $replicas) 1 }}
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- toYaml $selector | nindent 14 }}
        {{- end }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      terminationGracePeriodSeconds: 30
      containers:
        - name: observed
          image: {{ include "observed.image" . | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args: [run]
          env:
            - name: OBSERVED_LOG
              value: {{ .Values.log.format }}
            {{- with .Values.log.filter }}
            - name: RUST_LOG
              value: {{ quote . }}
            {{- end }}
            - name: OBSERVED_RESYNC
              value: {{ quote .Values.resync }}
            - name: OBSERVED_CONCURRENCY
              value: {{ quote .Values.concurrency }}
            - name: OBSERVED_LEASE_NAME
              value: {{ include "observed.fullname" . | quote }}
            - name: OBSERVED_LEASE_DURATION
              value: {{ quote .Values.leaseDuration }}
            {{- if $remediate }}
            - name: OBSERVED_REMEDIATE
              value: "true"
            {{- end }}
            {{- with .Values.watchNamespace }}
            - name: OBSERVED_WATCH_NAMESPACE
              value: {{ quote . }}
            {{- end }}
            {{- with .Values.dependencyNamespaces }}
            - name: OBSERVED_DEPENDENCY_NAMESPACES
              value: {{ join "," . | quote }}
            {{- end }}
            {{- with .Values.traces.otlpEndpoint }}
            - name: OTEL_EXPORTER_OTLP_ENDPOINT
              value: {{ quote . }}
            {{- end }}
            {{- with $metrics.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- with $servers.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- with .Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: http
              containerPort: 8080
            {{- if .Values.metrics.secure }}
            - name: metrics
              containerPort: 8443
            {{- end }}
          livenessProbe:
            httpGet:
              path: /livez
              port: http
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /readyz
              port: http
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 3
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: [ALL]
          {{- with concat $servers.volumeMounts $metrics.volumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- with concat $servers.volumes $metrics.volumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
{{- end }}
