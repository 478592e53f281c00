// Private endpoints of both accounts and the Key Vault, each with its DNS zone in the network.
param token string
param location string
param tags object
param vnetId string
param subnetId string
param hostAccountId string
param replicaAccountId string
param keyVaultId string

var storageSuffix = environment().suffixes.storage
var vaultSuffix = environment().suffixes.keyvaultDns
var zones = [
  'privatelink.blob.${storageSuffix}'
  'privatelink.queue.${storageSuffix}'
  'privatelink.table.${storageSuffix}'
  'privatelink${replace(vaultSuffix, 'vault.', 'vaultcore.')}'
]
var targets = [
  { name: 'host-blob', service: 'blob', target: hostAccountId, zone: 0 }
  { name: 'host-queue', service: 'queue', target: hostAccountId, zone: 1 }
  { name: 'host-table', service: 'table', target: hostAccountId, zone: 2 }
  { name: 'replica-blob', service: 'blob', target: replicaAccountId, zone: 0 }
  { name: 'replica-queue', service: 'queue', target: replicaAccountId, zone: 1 }
  { name: 'replica-table', service: 'table', target: replicaAccountId, zone: 2 }
  { name: 'vault', service: 'vault', target: keyVaultId, zone: 3 }
]

resource dnsZones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zones: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, index) in zones: {
    parent: dnsZones[index]
    name: 'link-${token}'
    location: 'global'
    tags: tags
    properties: { registrationEnabled: false, virtualNetwork: { id: vnetId } }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for each in targets: {
    name: 'pep-${token}-${each.name}'
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        { name: each.name, properties: { privateLinkServiceId: each.target, groupIds: [each.service] } }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (each, index) in targets: {
    parent: endpoints[index]
    name: 'default'
    dependsOn: [links]
    properties: {
      privateDnsZoneConfigs: [{ name: each.service, properties: { privateDnsZoneId: dnsZones[each.zone].id } }]
    }
  }
]
