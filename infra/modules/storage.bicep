// Two accounts. The host's holds what the Functions host and Durable keep for themselves; losing it loses no replica.
// The replica account holds disks, logs and the product's state; sources upload to it, so its limits are theirs alone.
param token string
param location string
param tags object
param replicaSku string
param softDeleteDays int
@description('Reachable through private endpoints only (and for uploads from allowedIpRanges).')
param isPrivate bool
param allowedIpRanges array

var packageContainerName = 'packages'
var replicaContainers = ['replicas', 'deltas', 'quarantine', 'resync', 'recovered', 'evidence', 'locks']
var stateTables = ['lifeboatItems', 'lifeboatJobs', 'lifeboatInventory', 'lifeboatVault', 'lifeboatAccess']
var secured = {
  accessTier: 'Hot'
  allowSharedKeyAccess: false
  allowBlobPublicAccess: false
  allowCrossTenantReplication: false
  defaultToOAuthAuthentication: true
  minimumTlsVersion: 'TLS1_2'
  supportsHttpsTrafficOnly: true
}

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'sth${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: union(secured, {
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: { bypass: 'None', defaultAction: isPrivate ? 'Deny' : 'Allow' }
  })
}

resource hostBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: host
  name: 'default'
  // No soft delete: leases, receipts and Durable's blobs are rewritten all day, and none is worth bringing back.
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: hostBlobs
  name: packageContainerName
}

resource replica 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'str${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: replicaSku }
  properties: union(secured, {
    publicNetworkAccess: isPrivate && empty(allowedIpRanges) ? 'Disabled' : 'Enabled'
    networkAcls: {
      // Event Grid watches this account.
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: map(isPrivate ? allowedIpRanges : [], range => { value: range, action: 'Allow' })
    }
  })
}

resource replicaBlobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: replica
  name: 'default'
  properties: {
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    // Whoever may delete blobs still cannot make them unrecoverable.
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays, allowPermanentDelete: false }
    // Page writes make no versions; snapshots are the recovery points.
    isVersioningEnabled: false
  }
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for name in replicaContainers: {
    parent: replicaBlobs
    name: name
    properties: { publicAccess: 'None' }
  }
]

resource replicaTables 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: replica
  name: 'default'
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [
  for name in stateTables: {
    parent: replicaTables
    name: name
  }
]

// The container "deltas" has no rule: what lies there is work that is not done.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: replica
  name: 'default'
  dependsOn: [replicaBlobs]
  properties: {
    policy: {
      rules: [
        {
          name: 'forget-refused-logs'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['quarantine/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 90 } } }
          }
        }
        {
          name: 'forget-digests'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['resync/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 90 } } }
          }
        }
      ]
    }
  }
}

output hostAccountId string = host.id
output hostAccountName string = host.name
output packageContainerName string = packages.name
output replicaAccountId string = replica.id
output replicaAccountName string = replica.name
