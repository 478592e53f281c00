// What somebody must hear of without looking. The metrics are those of lib/telemetry/names.ts.
param token string
param location string
param tags object
param alertEmail string
param insightsId string
param replicaAccountId string

var rules = [
  {
    name: 'rpo-breach'
    severity: 1
    title: 'A machine misses its recovery point objective'
    action: 'Open the item: its health says what keeps it (source host offline, logs refused, resynchronization).'
    query: 'customMetrics | where name == "lifeboat.rpo.ratio" | where valueMax > 1 | extend item = tostring(customDimensions["item"])'
    dimension: 'item'
    frequency: 'PT5M'
    window: 'PT15M'
  }
  {
    name: 'job-failed'
    severity: 2
    title: 'A job failed'
    action: 'Open the job: its steps and errors name the cause and what to do.'
    query: 'customMetrics | where name == "lifeboat.job.ended" | extend state = tostring(customDimensions["state"]), scenario = tostring(customDimensions["scenario"]) | where state == "Failed"'
    dimension: 'scenario'
    frequency: 'PT5M'
    window: 'PT15M'
  }
  {
    name: 'host-silent'
    severity: 1
    title: 'A source host has not been heard of'
    action: 'Look at the agent on the named host: service, clock, network, registration.'
    query: 'customMetrics | where name == "lifeboat.host.heartbeat.age" | where valueMax > 900 | extend host = tostring(customDimensions["host"])'
    dimension: 'host'
    frequency: 'PT5M'
    window: 'PT15M'
  }
  {
    name: 'log-refused'
    severity: 2
    title: 'An uploaded log was refused'
    action: 'Open the item: its health names the log, the reason and what to send again.'
    query: 'customMetrics | where name == "lifeboat.log.refused" | extend code = tostring(customDimensions["code"])'
    dimension: 'code'
    frequency: 'PT5M'
    window: 'PT15M'
  }
]
var actions = empty(alertEmail) ? [] : [notify.id]

resource notify 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(alertEmail)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'lifeboat'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: alertEmail, useCommonAlertSchema: true }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: 'alert-${token}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Lifeboat: ${rule.title}'
      description: '${rule.title}. ${rule.action}'
      severity: rule.severity
      enabled: true
      scopes: [insightsId]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      autoMitigate: true
      // The table has no rows, and the query no columns, until the app has run once.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [{ name: rule.dimension, operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: actions }
    }
  }
]

// The service looks for work every minute and says so. When it does not, nothing else would be heard either.
resource silence 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'alert-${token}-service-silent'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Lifeboat: the service does not look for work'
    description: 'No reconciliation for 15 minutes. Look at the function app: is it running, are its settings valid?'
    severity: 1
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: 'customMetrics | where name == "lifeboat.reconcile.duration"'
          timeAggregation: 'Count'
          operator: 'LessThanOrEqual'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: actions }
  }
}

// The only queue of the replica account is the one in which the host lays logs whose function failed five times.
resource poison 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'alert-${token}-poison-queue'
  location: 'global'
  tags: tags
  properties: {
    description: 'Logs whose function failed five times. Reconciliation goes on trying them; look at the failures of deltaUploaded, then empty the queue webjobs-blobtrigger-poison.'
    severity: 2
    enabled: true
    scopes: ['${replicaAccountId}/queueServices/default']
    evaluationFrequency: 'PT1H'
    windowSize: 'PT1H'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'messages'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Storage/storageAccounts/queueServices'
          metricName: 'QueueMessageCount'
          timeAggregation: 'Average'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: empty(alertEmail) ? [] : [{ actionGroupId: notify.id }]
  }
}
