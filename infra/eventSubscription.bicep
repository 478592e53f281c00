// Deployed by the post-deploy hook, when the app runs: uploaded logs → the function deltaUploaded. May be deployed again.
// The key of the address is read inside the deployment; no script ever sees it.
@description('The function app.')
param appName string

@description('The system topic of the replica account.')
param topicName string

@description('Function with the blob trigger.')
param functionName string = 'deltaUploaded'

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource uploads 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'uploaded-logs'
  properties: {
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.${functionName}&code=${listKeys('${app.id}/host/default', '2025-03-01').systemKeys.blobs_extension}'
        minimumTlsVersionAllowed: '1.2'
      }
    }
    eventDeliverySchema: 'EventGridSchema'
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      subjectBeginsWith: '/blobServices/default/containers/deltas/'
      advancedFilters: [
        // A log is committed once, by one of these; nothing is announced before it is whole.
        { operatorType: 'StringIn', key: 'data.api', values: ['PutBlob', 'PutBlockList', 'CopyBlob'] }
      ]
    }
    // What is not delivered in a day is found by the reconciliation timer long before.
    retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 }
  }
}
