// Everything that Lifeboat needs in a subscription: one resource group for the service, one for what failovers make.
// No module comes from a registry and every API version is pinned, so that this folder alone says what is deployed.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; names of resources derive from it.')
param environmentName string

@minLength(1)
@description('Region of everything. A replica and the machine made of it are in one region.')
param location string

@description('Object id of whoever deploys: may read the administrator key. Empty: nobody.')
param principalId string = ''

@allowed(['User', 'ServicePrincipal'])
@description('What principalId is.')
param principalType string = 'User'

@secure()
@minLength(16)
@description('Bearer key of administrators. It is kept in the Key Vault; azd makes one on the first run.')
param adminKey string

@description('Private endpoints for storage and the Key Vault, and a virtual network for the app.')
param vnetEnabled bool = false

@description('With the virtual network: public IPv4 ranges (commas between them) from which source hosts may still upload, and azd read its key. Empty: private addresses only.')
param allowedIpRanges string = ''

@description('Address space of the virtual network.')
param vnetAddressPrefix string = '10.60.0.0/22'

@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS'])
@description('Redundancy of the replicas.')
param replicaSku string = 'Standard_LRS'

@minValue(1)
@maxValue(365)
@description('Days in which a deleted blob or container of the replica account can be brought back. Costs: docs/cost.md.')
param softDeleteDays int = 7

@allowed([2048, 4096])
@description('Memory of an instance of the app.')
param instanceMemoryMB int = 2048

@minValue(40)
@maxValue(1000)
@description('Most instances at once.')
param maximumInstanceCount int = 100

@minValue(0)
@maxValue(20)
@description('Instances that always wait for requests, and as many for jobs. 0: the first request of an idle service takes seconds.')
param alwaysReadyInstances int = 0

@description('Where alerts are sent. Empty: they are only shown in the portal.')
param alertEmail string = ''

@minValue(30)
@maxValue(730)
@description('Days that logs are kept.')
param logRetentionDays int = 30

@allowed(['none', 'readback'])
@description('readback: every cycle is read back and compared before it becomes a recovery point.')
param verify string = 'none'

@description('Client id (or application id URI) of the app registration whose tokens, of this tenant, are taken. Empty: only the administrator key.')
param entraAudience string = ''

@description('More app settings, or other values of those that are set here (docs/settings.md).')
param extraSettings object = {}

var tags = { 'azd-env-name': environmentName }
var ipRanges = empty(allowedIpRanges) ? [] : map(split(allowedIpRanges, ','), range => trim(range))
var token = toLower(uniqueString(subscription().id, environmentName, location))

resource serviceGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

// Apart, so that the right to make machines ends at this group.
resource recoveryGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}-recovery'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: serviceGroup
  params: { name: 'id-${token}', location: location, tags: tags }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: serviceGroup
  params: { token: token, location: location, tags: tags, retentionDays: logRetentionDays }
}

module network 'modules/network.bicep' = if (vnetEnabled) {
  scope: serviceGroup
  params: { name: 'vnet-${token}', location: location, tags: tags, addressPrefix: vnetAddressPrefix }
}

module storage 'modules/storage.bicep' = {
  scope: serviceGroup
  params: {
    token: token
    location: location
    tags: tags
    replicaSku: replicaSku
    softDeleteDays: softDeleteDays
    isPrivate: vnetEnabled
    allowedIpRanges: ipRanges
  }
}

module keyVault 'modules/keyVault.bicep' = {
  scope: serviceGroup
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    adminKey: adminKey
    isPrivate: vnetEnabled
    allowedIpRanges: ipRanges
    workspaceId: monitoring.outputs.workspaceId
  }
}

module endpoints 'modules/endpoints.bicep' = if (vnetEnabled) {
  scope: serviceGroup
  params: {
    token: token
    location: location
    tags: tags
    vnetId: network.?outputs.id ?? ''
    subnetId: network.?outputs.endpointSubnetId ?? ''
    hostAccountId: storage.outputs.hostAccountId
    replicaAccountId: storage.outputs.replicaAccountId
    keyVaultId: keyVault.outputs.id
  }
}

module access 'modules/access.bicep' = {
  scope: serviceGroup
  params: {
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    hostAccountName: storage.outputs.hostAccountName
    replicaAccountName: storage.outputs.replicaAccountName
    insightsName: monitoring.outputs.insightsName
    keyVaultName: keyVault.outputs.name
  }
}

module recovery 'modules/recovery.bicep' = {
  scope: recoveryGroup
  params: { appPrincipalId: identity.outputs.principalId }
}

module app 'modules/functionApp.bicep' = {
  scope: serviceGroup
  // The app reads its package, its secret and its storage as soon as it exists: rights and endpoints come first.
  dependsOn: [access, endpoints]
  params: {
    token: token
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostAccountName: storage.outputs.hostAccountName
    replicaAccountName: storage.outputs.replicaAccountName
    packageContainerName: storage.outputs.packageContainerName
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    adminKeySecretUri: keyVault.outputs.adminKeyUri
    workspaceId: monitoring.outputs.workspaceId
    subnetId: network.?outputs.appSubnetId ?? ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    verify: verify
    entraAudience: entraAudience
    extraSettings: extraSettings
  }
}

module events 'modules/events.bicep' = {
  scope: serviceGroup
  params: {
    topicName: 'evgt-${token}'
    location: location
    tags: tags
    replicaAccountId: storage.outputs.replicaAccountId
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: serviceGroup
  params: {
    token: token
    location: location
    tags: tags
    alertEmail: alertEmail
    insightsId: monitoring.outputs.insightsId
    replicaAccountId: storage.outputs.replicaAccountId
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: serviceGroup
  params: { location: location, tags: tags, insightsId: monitoring.outputs.insightsId }
}

output AZURE_LOCATION string = location
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_RESOURCE_GROUP string = serviceGroup.name
output AZURE_KEY_VAULT_NAME string = keyVault.outputs.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output LIFEBOAT_EVENT_TOPIC_NAME string = events.outputs.topicName
output LIFEBOAT_RECOVERY_RESOURCE_GROUP string = recoveryGroup.name
output LIFEBOAT_REPLICA_ACCOUNT_NAME string = storage.outputs.replicaAccountName
output LIFEBOAT_URL string = app.outputs.url
output LIFEBOAT_VAULT_ID string = app.outputs.vaultId
