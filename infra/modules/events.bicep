// Tells of uploads. The subscription is made after the code is there (eventSubscription.bicep): its address needs a key
// that the app makes when it first runs the trigger.
param topicName string
param location string
param tags object
param replicaAccountId string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: topicName
  location: location
  tags: tags
  properties: { source: replicaAccountId, topicType: 'Microsoft.Storage.StorageAccounts' }
}

output topicName string = topic.name
