{{/*
How many pods are wanted; an expression of expr-lang, in which the names are triggers of the ScaledObject.

  total            tasks that wait or are in flight
  visible          tasks that wait; so total - visible are in flight: staged, running, stored, or given back with a wait
  pods             pods that there are
  scheduleN        pods that schedule N asks for now, else 0

The backlog asks for total / tasksPerReplica. What is in flight keeps pods, so that none is removed while each may be busy:
it is a floor under the pods that there are (min) and never a reason for more. A worker holds up to three tasks at once, so
without the min the floor would rise with each pod that it adds, until no task waits. The floor and the backlog are compared
(max), not added, for the same reason.
*/}}
{{- define "darkroom.scalingFormula" -}}
{{- $terms := list "min(total - visible, pods)" (printf "total / %v" .Values.scaling.tasksPerReplica) -}}
{{- range $n, $_ := .Values.scaling.schedules }}{{ $terms = append $terms (printf "schedule%d" $n) }}{{ end -}}
max({{ join ", " $terms }})
{{- end }}
