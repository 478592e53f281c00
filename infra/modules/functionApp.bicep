// The plan and the app. Its package comes from the host account by identity; it has no connection string.
param token string
param location string
param tags object
param identityId string
param identityClientId string
param hostAccountName string
param replicaAccountName string
param packageContainerName string
param insightsConnectionString string
param adminKeySecretUri string
param workspaceId string
@description('Subnet for outgoing traffic. Empty: none.')
param subnetId string
param instanceMemoryMB int
param maximumInstanceCount int
param alwaysReadyInstances int
param verify string
param entraAudience string
param extraSettings object

var name = 'func-${token}'
var vaultId = '${resourceGroup().id}/providers/Microsoft.RecoveryServices/vaults/lifeboat'

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostAccountName
}

resource replica 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: replicaAccountName
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    outboundVnetRouting: empty(subnetId) ? null : { allTraffic: true }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      runtime: { name: 'node', version: '22' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${host.properties.primaryEndpoints.blob}${packageContainerName}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // Merging a log holds memory and a page blob's bandwidth; what waits in the queue starts another instance.
        triggers: { http: { perInstanceConcurrency: 16 } }
        alwaysReady: alwaysReadyInstances == 0
          ? []
          : [
              { name: 'http', instanceCount: alwaysReadyInstances }
              { name: 'durable', instanceCount: alwaysReadyInstances }
            ]
      }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsStorage__blobServiceUri: host.properties.primaryEndpoints.blob
      AzureWebJobsStorage__queueServiceUri: host.properties.primaryEndpoints.queue
      AzureWebJobsStorage__tableServiceUri: host.properties.primaryEndpoints.table
      LIFEBOAT_STORAGE__accountName: replica.name
      LIFEBOAT_STORAGE__credential: 'managedidentity'
      LIFEBOAT_STORAGE__clientId: identityClientId
      LIFEBOAT_STORAGE__blobServiceUri: replica.properties.primaryEndpoints.blob
      LIFEBOAT_STORAGE__queueServiceUri: replica.properties.primaryEndpoints.queue
      LIFEBOAT_VAULT_ID: vaultId
      LIFEBOAT_ADMIN_KEY: '@Microsoft.KeyVault(SecretUri=${adminKeySecretUri})'
      LIFEBOAT_ENTRA_TENANT_ID: entraAudience == '' ? '' : tenant().tenantId
      LIFEBOAT_ENTRA_AUDIENCE: entraAudience
      LIFEBOAT_ENTRA_AUTHORITY: environment().authentication.loginEndpoint
      LIFEBOAT_AUDIT_RETENTION_DAYS: '400'
      LIFEBOAT_REQUESTS_PER_SECOND: '100'
      LIFEBOAT_PUBLIC_URL: 'https://${app.properties.defaultHostName}'
      LIFEBOAT_UPLOAD_URL_MINUTES: '60'
      LIFEBOAT_VERIFY: verify
      LIFEBOAT_COMPUTE: 'azure'
      LIFEBOAT_COMPUTE_LOCATION: location
      LIFEBOAT_STORAGE_ID: replica.id
      LIFEBOAT_ARM_ENDPOINT: environment().resourceManager
      LIFEBOAT_RECONCILE_SCHEDULE: '0 * * * * *'
      LIFEBOAT_TICK_SCHEDULE: '30 * * * * *'
      LIFEBOAT_ACTION_HOSTS: ''
      LIFEBOAT_RESYNCS_AT_ONCE: '2'
      LIFEBOAT_JOB_RETENTION_DAYS: '30'
      LIFEBOAT_TEST_FAILOVER_DUE_DAYS: '180'
      LIFEBOAT_SCRATCH_MB: '1024'
      APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    },
    extraSettings
  )
}

// Deployment and publishing go by Entra tokens alone.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'FunctionAppLogs', enabled: true }]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
output vaultId string = vaultId
