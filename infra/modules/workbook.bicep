// The dashboard: RPO, cycles, work that waits, failures. Its queries use the names of lib/telemetry.
param location string
param tags object
param insightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insightsId, 'lifeboat-workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Lifeboat'
    category: 'workbook'
    sourceId: insightsId
    serializedData: loadTextContent('../workbook.json')
  }
}
