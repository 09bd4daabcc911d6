-- Health of an ObservedService for Argo CD, by kstatus' conditions: Stalled needs somebody, Reconciling is on its way.
-- The key of argocd-cm is resource.customizations.health.observed.rs_ObservedService; argocd-cm.yaml holds this text.
local hs = { status = "Progressing", message = "Waiting for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "Waiting for the operator to see the last change"
  return hs
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local ready = found["Ready"]
if ready == nil then
  return hs
end
hs.message = ready.message
if ready.reason == "Paused" then
  hs.status = "Suspended"
elseif ready.status == "True" then
  hs.status = "Healthy"
elseif found["Stalled"] ~= nil and found["Stalled"].status == "True" then
  hs.status = "Degraded"
elseif found["Reconciling"] ~= nil and found["Reconciling"].status == "True" then
  hs.status = "Progressing"
elseif ready.status == "False" then
  hs.status = "Degraded"
end
return hs
