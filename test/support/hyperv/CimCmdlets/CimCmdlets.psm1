# The WMI provider of the Hyper-V in ../Hyper-V: the classes and methods that RCT needs, with their names, types and return codes.
# Anything else is an error. `fault` in state.json: dieAfterCreate, dieAfterConvert, stuck (a query that processes nothing),
# unknownId (the disk does not know its RCT id).
Set-StrictMode -Version 2
$pieceBytes = 5MB

function New-FakeObject([string] $class, [hashtable] $properties) { [pscustomobject] (@{ FakeClass = $class } + $properties) }

function Get-CimInstance {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory, ParameterSetName = 'Class')] [ValidateSet('root/virtualization/v2')] [string] $Namespace,
        [Parameter(Mandatory, ParameterSetName = 'Class')] [string] $ClassName,
        [Parameter(ParameterSetName = 'Class')] [string] $Filter,
        [Parameter(Mandatory, ParameterSetName = 'Instance')] $InputObject
    )
    $fake = Read-FakeHost
    if ($InputObject) {
        if ($InputObject.FakeClass -ne 'Msvm_ConcreteJob') { throw 'Only jobs are looked at again.' }
        # Running when it is looked at for the first time.
        $job = @($fake.jobs | Where-Object { $_.id -eq $InputObject.InstanceID })[0]
        $job.looks++
        Write-FakeHost $fake
        return New-FakeObject Msvm_ConcreteJob @{ InstanceID = $job.id; JobState = $(if ($job.looks -gt 1) { 7 } else { 4 }); ErrorDescription = '' }
    }
    $owner = ([string] $fake.vm.id).ToUpperInvariant()
    switch -CaseSensitive ($ClassName) {
        'Msvm_ComputerSystem' {
            if ($Filter -eq "Name='$owner'") { New-FakeObject $ClassName @{ Name = $owner } }
        }
        'Msvm_VirtualSystemReferencePoint' {
            if ($Filter -ne "VirtualSystemIdentifier='$owner'") { throw "Wrong filter $Filter" }
            foreach ($each in $fake.points) {
                New-FakeObject $ClassName @{
                    InstanceID = $each.id; ReferencePointType = [uint16] 2; VirtualDiskIdentifiers = @($each.disks | ForEach-Object { $_.id })
                    ResilientChangeTrackingIdentifiers = @($each.disks | ForEach-Object { $_.rct })
                }
            }
        }
        'Msvm_VirtualSystemSettingData' {
            foreach ($each in $fake.checkpoints) { if ($Filter -eq "InstanceID='Microsoft:$($each.id)'") { New-FakeObject $ClassName @{ InstanceID = "Microsoft:$($each.id)"; checkpoint = $each.id } } }
        }
        { $_ -in 'Msvm_VirtualSystemSnapshotService', 'Msvm_VirtualSystemReferencePointService', 'Msvm_ImageManagementService' } { New-FakeObject $ClassName @{} }
        default { throw "Invalid class $ClassName" }
    }
}

function Assert-Arguments([hashtable] $given, [hashtable] $types) {
    $names = (@($given.Keys) | Sort-Object) -join ' '
    if ($names -ne ((@($types.Keys) | Sort-Object) -join ' ')) { throw "Invalid parameters: $names" }
    foreach ($name in $types.Keys) {
        $type = if ($given[$name].PSObject.Properties['FakeClass']) { $given[$name].FakeClass } else { $given[$name].GetType().Name }
        if ($type -ne $types[$name]) { throw "Type mismatch for parameter ${name}: $type" }
    }
}

function Start-FakeJob($fake) {
    $job = [pscustomobject] @{ id = [guid]::NewGuid().ToString(); looks = 0 }
    $fake.jobs = @($fake.jobs) + $job
    Write-FakeHost $fake
    [pscustomobject] @{ ReturnValue = [uint32] 4096; Job = New-FakeObject Msvm_ConcreteJob @{ InstanceID = $job.id } }
}

function New-FakeCheckpoint($fake, [string] $settings) {
    $document = [xml] $settings
    if ($document.INSTANCE.CLASSNAME -ne 'Msvm_VirtualSystemSnapshotSettingData') { throw 'SnapshotSettings is of another class.' }
    $id = [guid]::NewGuid().ToString().ToUpperInvariant()
    $frozen = foreach ($drive in @($fake.drives)) {
        [pscustomobject] @{ path = $drive.path; place = $drive.place }
        $live = $drive.path -replace '\.vhdx$', "_$([guid]::NewGuid()).avhdx"
        [IO.File]::Copy($drive.path, $live)
        $drive.path = $live
    }
    $fake.checkpoints = @($fake.checkpoints) + [pscustomobject] @{ id = $id; created = [datetime]::UtcNow.ToString('o'); writes = @($fake.writes).Count; drives = @($frozen) }
}

function Convert-FakeCheckpoint($fake, [string] $id) {
    $checkpoint = @($fake.checkpoints | Where-Object { $_.id -eq $id })[0]
    $owner = ([string] $fake.vm.id).ToUpperInvariant()
    $disks = foreach ($drive in $checkpoint.drives) { [pscustomobject] @{ id = "Microsoft:$owner\$($drive.place)\L"; rct = "rctX:$($checkpoint.writes)"; place = $drive.place } }
    $fake.points = @($fake.points) + [pscustomobject] @{ id = "Microsoft:$owner\$([guid]::NewGuid())"; disks = @($disks) }
    Merge-FakeCheckpoint $fake $id
}

function Get-FakeChanges($fake, [hashtable] $arguments) {
    $frozen = @($fake.checkpoints | ForEach-Object { $checkpoint = $_; $_.drives | Where-Object { $_.path -eq $arguments.Path } | ForEach-Object { @{ place = $_.place; writes = $checkpoint.writes } } })
    if ($frozen.Count -ne 1) { return @{ ReturnValue = [uint32] 32779 } }
    $place = $frozen[0].place
    $size = [uint64] @($fake.drives | Where-Object { $_.place -eq $place })[0].size
    $known = @($fake.points | ForEach-Object { $_.disks } | Where-Object { $_.place -eq $place -and $_.rct -eq $arguments.LimitId })
    $isPlaced = $arguments.ByteLength -gt 0 -and $arguments.ByteLength -lt $size -and $arguments.ByteOffset + $arguments.ByteLength -le $size
    if ($known.Count -lt 1 -or $fake.fault -eq 'unknownId' -or -not $isPlaced -or $arguments.TargetSnapshotId) { return @{ ReturnValue = [uint32] 32773 } }
    $end = $arguments.ByteOffset + [Math]::Min([uint64] $pieceBytes, $arguments.ByteLength)
    $offsets = @(); $lengths = @()
    $from = [int] ($arguments.LimitId -replace '^rctX:')
    foreach ($write in @(@($fake.writes) | Select-Object -Skip $from -First ($frozen[0].writes - $from) | Where-Object { $_.place -eq $place })) {
        $start = [Math]::Max([uint64] $write.offset, $arguments.ByteOffset)
        $stop = [Math]::Min([uint64] $write.offset + $write.length, $end)
        if ($start -lt $stop) { $offsets += [uint64] $start; $lengths += [uint64] ($stop - $start) }
    }
    $processed = if ($fake.fault -eq 'stuck') { 0 } else { $end - $arguments.ByteOffset }
    @{ ReturnValue = [uint32] 0; Job = $null; ProcessedByteLength = [uint64] $processed; ChangedByteOffsets = [uint64[]] $offsets; ChangedByteLengths = [uint64[]] $lengths }
}

function Invoke-CimMethod {
    [CmdletBinding()]
    param([Parameter(Mandatory)] $InputObject, [Parameter(Mandatory)] [string] $MethodName, [Parameter(Mandatory)] [hashtable] $Arguments)
    $fake = Read-FakeHost
    switch -CaseSensitive ("$($InputObject.FakeClass).$MethodName") {
        'Msvm_VirtualSystemSnapshotService.CreateSnapshot' {
            Assert-Arguments $Arguments @{ AffectedSystem = 'Msvm_ComputerSystem'; SnapshotSettings = 'String'; SnapshotType = 'UInt16' }
            if ($Arguments.SnapshotType -ne 32768) { throw 'Only recovery snapshots.' }
            New-FakeCheckpoint $fake $Arguments.SnapshotSettings
            $job = Start-FakeJob $fake
            if ($fake.fault -eq 'dieAfterCreate') { [Environment]::Exit(9) }
            $job
        }
        'Msvm_VirtualSystemSnapshotService.ConvertToReferencePoint' {
            Assert-Arguments $Arguments @{ AffectedSnapshot = 'Msvm_VirtualSystemSettingData'; ReferencePointSettings = 'String' }
            Convert-FakeCheckpoint $fake $Arguments.AffectedSnapshot.checkpoint
            $job = Start-FakeJob $fake
            if ($fake.fault -eq 'dieAfterConvert') { [Environment]::Exit(9) }
            $job
        }
        'Msvm_VirtualSystemReferencePointService.DestroyReferencePoint' {
            Assert-Arguments $Arguments @{ AffectedReferencePoint = 'Msvm_VirtualSystemReferencePoint' }
            $fake.points = @($fake.points | Where-Object { $_.id -ne $Arguments.AffectedReferencePoint.InstanceID })
            Start-FakeJob $fake
        }
        'Msvm_ImageManagementService.GetVirtualDiskChanges' {
            Assert-Arguments $Arguments @{ Path = 'String'; LimitId = 'String'; TargetSnapshotId = 'String'; ByteOffset = 'UInt64'; ByteLength = 'UInt64' }
            # The first question of a host's life takes a job, and has no answer then.
            if (-not $fake.hasAnswered) { $fake.hasAnswered = $true; return Start-FakeJob $fake }
            [pscustomobject] (Get-FakeChanges $fake $Arguments)
        }
        default { throw "Invalid method $_" }
    }
}

Export-ModuleMember -Function Get-CimInstance, Invoke-CimMethod
