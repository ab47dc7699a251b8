{{/* What no schema can say: rules across values. All faults are reported at once, in the words of the values. */}}

{{- define "darkroom.rules" -}}
{{- $faults := list -}}
{{- range list "deadlines" "replicas" "schedules" "serviceAccount" "metrics" "workerEnv" "nodes" "imageCache" "markPod" "networkPolicy" -}}
{{- $faults = concat $faults (include (printf "darkroom.rules.%s" .) $ | splitList "\n") -}}
{{- end -}}
{{- $faults = without $faults "" -}}
{{- if $faults }}{{ fail (printf "\n  %s" (join "\n  " $faults)) }}{{ end -}}
{{- end }}

{{- define "darkroom.rules.deadlines" -}}
{{- $d := .Values.deadlines }}
{{- /* The worker needs 10 s after `drain` to interrupt, give back and end; it refuses to start with less. */}}
{{- if lt (int $d.grace) (add (int $d.drain) 10) }}
deadlines.grace: {{ $d.grace }} must be at least 10 s above deadlines.drain ({{ $d.drain }})
{{- end }}
{{- /* A Spot instance is reclaimed 120 s after the notice (EC2 user guide, Spot Instance interruption notices). */}}
{{- if and .Values.nodes.create (ne .Values.nodes.purchase "on-demand") (gt (int $d.grace) 120) }}
deadlines.grace: {{ $d.grace }} is above 120: a Spot node is gone by then; stay below, or set nodes.purchase to on-demand
{{- end }}
{{- /* SQS hides a message for at most 12 hours, and the worker extends it once more at the end of a run. */}}
{{- if gt (add (int $d.run) (int $d.visibility)) 43200 }}
deadlines.run: {{ $d.run }} and deadlines.visibility ({{ $d.visibility }}) are together above 43200, SQS's longest
{{- end }}
{{- end }}

{{- define "darkroom.rules.replicas" -}}
{{- if gt (int .Values.replicas.min) (int .Values.replicas.max) }}
replicas.min: {{ .Values.replicas.min }} is above replicas.max ({{ .Values.replicas.max }})
{{- end }}
{{- end }}

{{- define "darkroom.rules.metrics" -}}
{{- $metrics := .Values.worker.metrics }}
{{- if ne (empty $metrics.namespace) (empty $metrics.logGroup) }}
worker.metrics: namespace and logGroup belong together; set both or none
{{- end }}
{{- end }}

{{- define "darkroom.rules.schedules" -}}
{{- range $n, $schedule := .Values.scaling.schedules }}
{{- if gt (int $schedule.replicas) (int $.Values.replicas.max) }}
scaling.schedules.{{ $n }}.replicas: {{ $schedule.replicas }} is above replicas.max ({{ $.Values.replicas.max }})
{{- end }}
{{- if eq $schedule.start $schedule.end }}
scaling.schedules.{{ $n }}: start and end are the same
{{- end }}
{{- end }}
{{- end }}

{{- define "darkroom.rules.serviceAccount" -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
serviceAccount.name: is needed when serviceAccount.create is false
{{- end }}
{{- end }}

{{- define "darkroom.rules.workerEnv" -}}
{{- $owned := include "darkroom.workerVariables" . | fromYamlArray }}
{{- range $name := keys .Values.worker.env | sortAlpha }}
{{- range $owned }}
{{- if eq .name $name }}
worker.env.{{ $name }}: the chart sets it; use the value that it comes from
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "darkroom.rules.nodes" -}}
{{- $nodes := .Values.nodes }}
{{- if $nodes.create }}
{{- if not $nodes.role }}
nodes.role: the IAM role of the GPU nodes is needed when nodes.create is true
{{- end }}
{{- if not $nodes.instanceTypes }}
nodes.instanceTypes: at least one is needed when nodes.create is true
{{- end }}
{{- if and (not $nodes.clusterName) (not (and $nodes.subnets $nodes.securityGroups)) }}
nodes.clusterName: is needed unless nodes.subnets and nodes.securityGroups are given: both are found by karpenter.sh/discovery
{{- end }}
{{- /* Auto Mode replaces a node after 21 days (EKS user guide, "EKS Auto Mode"). */}}
{{- if and (eq $nodes.provider "auto") (or (eq $nodes.expireAfter "Never") (gt (int (trimSuffix "h" $nodes.expireAfter)) 504)) }}
nodes.expireAfter: EKS Auto Mode accepts at most 504h, in hours
{{- end }}
{{- /* The name becomes the value of the label karpenter.sh/nodepool. */}}
{{- $name := include "darkroom.clusterWideName" . }}
{{- if gt (len $name) 63 }}
namespace and release name: {{ $name }} is longer than 63 characters, as long as the name of a NodePool may be
{{- end }}
{{- end }}
{{- end }}

{{- define "darkroom.rules.imageCache" -}}
{{- $cache := .Values.nodes.imageCache }}
{{- if and (eq .Values.nodes.provider "auto") (ne $cache.mode "none") }}
nodes.imageCache.mode: EKS Auto Mode pulls images in its own way; use none
{{- end }}
{{- if and (eq $cache.mode "snapshot") (not $cache.snapshot) }}
nodes.imageCache.snapshot: mode snapshot needs one
{{- end }}
{{- if and (ne $cache.mode "snapshot") $cache.snapshot }}
nodes.imageCache.snapshot: is not used in mode {{ $cache.mode }}; say mode snapshot, or leave it out
{{- end }}
{{- if and (ne $cache.mode "snapshot") (gt (int $cache.initializationRate) 0) }}
nodes.imageCache.initializationRate: is not used in mode {{ $cache.mode }}
{{- end }}
{{- end }}

{{- define "darkroom.rules.markPod" -}}
{{- if and .Values.worker.markPod .Values.networkPolicy.enabled (not .Values.networkPolicy.kubernetesApiCidrs) }}
networkPolicy.kubernetesApiCidrs: worker.markPod calls the Kubernetes API; without its addresses the policy cuts it off
{{- end }}
{{- end }}

{{- /* The agent applies nothing of a policy with such an exception: networkpolicy.yaml. */}}
{{- define "darkroom.rules.networkPolicy" -}}
{{- $policy := .Values.networkPolicy }}
{{- $peers := dict "metricsFrom" $policy.metricsFrom }}
{{- range $n, $rule := $policy.extraEgress }}
{{- $_ := set $peers (printf "extraEgress.%d.to" $n) (default list $rule.to) }}
{{- end }}
{{- range $field := keys $peers | sortAlpha }}
{{- range $n, $peer := get $peers $field }}
{{- $block := default dict $peer.ipBlock }}
{{- $family := ternary "ipv6" "ipv4" (contains ":" (toString $block.cidr)) }}
{{- if and $block.except (ne $family $policy.ipFamily) }}
networkPolicy.{{ $field }}.{{ $n }}.ipBlock: has exceptions of {{ $family }}, with which the VPC CNI applies no policy in a cluster of {{ $policy.ipFamily }}; leave the block out
{{- end }}
{{- end }}
{{- end }}
{{- end }}
