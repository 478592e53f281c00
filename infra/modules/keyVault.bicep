// The one secret that is left where everything else is an identity: the administrator key.
param name string
param location string
param tags object
@secure()
param adminKey string
param isPrivate bool
param allowedIpRanges array
param workspaceId string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    // No purge protection: `azd down --purge` leaves nothing, and the key can be made anew at any time.
    softDeleteRetentionInDays: 7
    publicNetworkAccess: isPrivate && empty(allowedIpRanges) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: map(isPrivate ? allowedIpRanges : [], range => { value: range })
    }
  }
}

// Who read the key, and who tried.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: true }]
  }
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2025-05-01' = {
  parent: vault
  name: 'lifeboat-admin-key'
  properties: { value: adminKey, contentType: 'text/plain' }
}

output id string = vault.id
output name string = vault.name
output adminKeyUri string = secret.properties.secretUri
