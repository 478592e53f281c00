<#
.SYNOPSIS
Freezes a Hyper-V virtual machine and prints what changed on its disks, by Resilient Change Tracking (RCT).

.DESCRIPTION
The program of a tracker of kind "program" (docs/agent.md has the contract). It needs Windows Server 2016 or later, a machine
of configuration version 8.0 or later with VHDX disks, and the rights of a Hyper-V administrator. In agent.yaml:

  tracker:
    kind: program
    timeoutSeconds: 1800
    command: [powershell.exe, -NoProfile, -NonInteractive, -ExecutionPolicy, Bypass,
              -File, 'C:\Program Files\Lifeboat\rct.ps1', -VM, web01]

freeze   makes a recovery checkpoint. Until it is gone the machine writes elsewhere, and the files below it stand still: they are
         what is read. What changed since the reference point is asked for piece by piece, until the whole disk is covered.
confirm  converts the checkpoint to the reference point that counts from now on, and removes the one before.
abort    removes the checkpoint. The reference point stays.

A folder remembers which checkpoint and which reference point are ours; those of others are never touched. If that folder is
lost, or Hyper-V has lost the reference point, freeze ends with exit code 3: what changed is not known.
#>
[CmdletBinding()]
param(
    # The last argument, given by the agent.
    [Parameter(Mandatory = $true, Position = 0)] [ValidateSet('freeze', 'confirm', 'abort')] [string] $Verb,
    # Name or id of the machine; without it the id in agent.yaml is taken.
    [string] $VM = $env:LIFEBOAT_MACHINE,
    # Application: the guest is asked to flush (VSS); it may refuse, and takes longer.
    [ValidateSet('Crash', 'Application')] [string] $Consistency = 'Crash',
    [string] $StateFolder = $(if ($env:ProgramData) { Join-Path $env:ProgramData 'Lifeboat\rct' } else { './rct' })
)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$namespace = 'root/virtualization/v2'
$trackingLost = 3
# At most so much of a disk is asked for at once.
$queryBytes = 64GB

class TrackingLost : System.Exception {
    TrackingLost([string] $message) : base($message) { }
}

# ---- What is remembered

function Read-State([string] $path) {
    $empty = @{ reference = ''; referencePoint = ''; frozen = ''; checkpoint = ''; intent = ''; before = @(); obsolete = @() }
    if (-not (Test-Path -LiteralPath $path)) { return $empty }
    $found = [System.IO.File]::ReadAllText($path) | ConvertFrom-Json
    foreach ($name in @($empty.Keys)) { $empty[$name] = $found.$name }
    return $empty
}

# The old or the new state, never a part of one.
function Write-State([string] $path, [hashtable] $state) {
    $part = "$path.part"
    [System.IO.File]::WriteAllText($part, ($state | ConvertTo-Json -Compress))
    if (Test-Path -LiteralPath $path) { [System.IO.File]::Replace($part, $path, [NullString]::Value) }
    else { [System.IO.File]::Move($part, $path) }
}

# ---- Hyper-V

function Wait-HyperV($result, [string] $what) {
    if ($result.ReturnValue -eq 0) { return }
    if ($result.ReturnValue -ne 4096) { throw "Hyper-V: $what failed with code $($result.ReturnValue)." }
    while ($true) {
        $job = Get-CimInstance -InputObject $result.Job
        if ($job.JobState -eq 7) { return }
        # New, starting, running, suspended.
        if ($job.JobState -notin 2, 3, 4, 5) { throw "Hyper-V: $what failed: $($job.ErrorDescription) (job state $($job.JobState))" }
        Start-Sleep -Milliseconds 200
    }
}

function Get-HyperVService([string] $class) { Get-CimInstance -Namespace $namespace -ClassName $class }

function Get-ReferencePoints {
    @(Get-CimInstance -Namespace $namespace -ClassName Msvm_VirtualSystemReferencePoint -Filter "VirtualSystemIdentifier='$vmId'")
}

function Get-Checkpoints { @(Get-VMSnapshot -VM $machine -SnapshotType Recovery) }

function Find-Checkpoint([string] $id) { Get-Checkpoints | Where-Object { [string] $_.Id -eq $id } }

function Remove-ReferencePoint([string] $id) {
    foreach ($point in @(Get-ReferencePoints | Where-Object { $_.InstanceID -eq $id })) {
        $arguments = @{ AffectedReferencePoint = $point }
        $service = Get-HyperVService Msvm_VirtualSystemReferencePointService
        Wait-HyperV (Invoke-CimMethod -InputObject $service -MethodName DestroyReferencePoint -Arguments $arguments) 'removing a reference point'
    }
}

# Controller and place on it: what the id of a drive and the ids in a reference point have in common, whatever comes before.
function Get-Place([string] $id) {
    if ($id.Replace('\\', '\') -match '\\([^\\]+)\\(\d+)\\(\d+)\\[DL]$') { return "$($Matches[1])\$($Matches[2])\$($Matches[3])".ToLowerInvariant() }
    throw "Hyper-V: the id of a disk, $id, does not end with its controller and place."
}

# The images that a drive is made of, the newest first.
function Get-Chain([string] $path) {
    for ($next = $path; $next; $next = (Get-VHD -Path $next).ParentPath) { $next }
}

# The drive of each disk that the agent asks for. $drives: of the machine, or of a checkpoint.
function Get-Disks($drives) {
    # In Windows PowerShell an array that comes from JSON is one object until it is enumerated.
    foreach ($wanted in @(ConvertFrom-Json $env:LIFEBOAT_DISKS | ForEach-Object { $_ })) {
        $location = [System.IO.Path]::GetFullPath($wanted.location)
        $found = @($drives | Where-Object { $_.Path -and @(Get-Chain $_.Path) -contains $location })
        if ($found.Count -ne 1) { throw "$VM has $($found.Count) drives with the image $location (disk $($wanted.disk))." }
        if ($found[0].Path -notmatch '\.a?vhdx$') { throw "$($found[0].Path) is no VHDX: RCT needs one." }
        [pscustomobject] @{ Disk = $wanted.disk; Path = $found[0].Path; Place = Get-Place $found[0].Id; SizeBytes = [uint64] (Get-VHD -Path $found[0].Path).Size }
    }
}

# RCT id by place. Throws TrackingLost for a reference point that Hyper-V has not.
function Get-RctIds([string] $id) {
    $point = @(Get-ReferencePoints | Where-Object { $_.InstanceID -eq $id })
    if ($point.Count -ne 1) { throw [TrackingLost]::new("Hyper-V has no reference point $id of $VM any more") }
    $ids = @{}
    $disks = @($point[0].VirtualDiskIdentifiers)
    $tracked = @($point[0].ResilientChangeTrackingIdentifiers)
    if ($point[0].ReferencePointType -ne 2 -or $disks.Count -ne $tracked.Count) { throw [TrackingLost]::new("the reference point $id is not one of RCT") }
    for ($index = 0; $index -lt $disks.Count; $index++) { $ids[(Get-Place $disks[$index])] = $tracked[$index] }
    return $ids
}

# ---- Changes of one disk, as JSON

function Get-ChangedPiece([string] $path, [string] $rctId, [uint64] $offset, [uint64] $length) {
    $service = Get-HyperVService Msvm_ImageManagementService
    $arguments = @{ Path = $path; LimitId = $rctId; TargetSnapshotId = ''; ByteOffset = $offset; ByteLength = $length }
    # A job has no answer: when it has ended, the question is asked again.
    for ($try = 1; $try -le 5; $try++) {
        $result = Invoke-CimMethod -InputObject $service -MethodName GetVirtualDiskChanges -Arguments $arguments
        if ($result.ReturnValue -ne 4096) { break }
        Wait-HyperV $result "asking for the changes of $path"
    }
    # Not supported, invalid parameter, file not found: the disk does not know this id.
    if ($result.ReturnValue -in 32770, 32773, 32779) { throw [TrackingLost]::new("the changes of $path since $rctId are not known to Hyper-V (code $($result.ReturnValue))") }
    if ($result.ReturnValue -ne 0) { throw "Hyper-V: asking for the changes of $path at $offset failed with code $($result.ReturnValue)." }
    if ($result.ProcessedByteLength -eq 0 -or $result.ProcessedByteLength -gt $length) { throw "Hyper-V: of $length bytes of $path at $offset it looked at $($result.ProcessedByteLength)." }
    return $result
}

function Get-ChangesJson($disk, [string] $rctId, [string] $from, [string] $to) {
    $size = $disk.SizeBytes
    $coverage = New-Object System.Text.StringBuilder
    $extents = New-Object System.Text.StringBuilder
    # A question must be of less than the whole disk.
    [uint64] $most = [Math]::Min([uint64] $queryBytes, $size - 1)
    for ([uint64] $offset = 0; $offset -lt $size; $offset += $piece.ProcessedByteLength) {
        $piece = Get-ChangedPiece $disk.Path $rctId $offset ([Math]::Min($most, $size - $offset))
        [void] $coverage.Append(",{`"offset`":$offset,`"length`":$($piece.ProcessedByteLength)}")
        $offsets = @($piece.ChangedByteOffsets)
        $lengths = @($piece.ChangedByteLengths)
        if ($offsets.Count -ne $lengths.Count) { throw "Hyper-V: the changes of $($disk.Path) have $($offsets.Count) offsets and $($lengths.Count) lengths." }
        for ($index = 0; $index -lt $offsets.Count; $index++) { [void] $extents.Append(",{`"offset`":$($offsets[$index]),`"length`":$($lengths[$index])}") }
    }
    $parts = @($coverage, $extents) | ForEach-Object { '[' + $_.ToString().TrimStart(',') + ']' }
    return "{`"version`":1,`"diskSize`":$size,`"from`":`"$from`",`"to`":`"$to`",`"coverage`":$($parts[0]),`"extents`":$($parts[1])}"
}

# ---- The checkpoint of ours

# One that was made and not remembered, because we died in between: the only new one since we meant to make it.
function Find-Orphan {
    if (-not $state.intent) { return $null }
    $new = @(Get-Checkpoints | Where-Object { $state.before -notcontains [string] $_.Id -and $_.CreationTime.ToUniversalTime() -ge ([datetime] $state.intent).ToUniversalTime() })
    if ($new.Count -gt 1) { throw "$VM has $($new.Count) new recovery checkpoints, one of them left by an attempt that died. Remove those that no backup uses (Get-VMSnapshot -SnapshotType Recovery | Remove-VMSnapshot)." }
    if ($new.Count -eq 1) { return $new[0] }
}

function Remove-Frozen {
    $checkpoint = if ($state.checkpoint) { Find-Checkpoint $state.checkpoint } else { Find-Orphan }
    if ($checkpoint) { Remove-VMSnapshot -VMSnapshot $checkpoint -Confirm:$false }
    # Its conversion had begun, and is not wanted any more.
    elseif ($state.intent -eq 'convert') { $state.obsolete = @($state.obsolete) + @(Find-NewPoint) }
    $state.frozen = ''; $state.checkpoint = ''; $state.intent = ''; $state.before = @()
    Write-State $statePath $state
}

function Remove-Obsolete {
    foreach ($id in @($state.obsolete)) { Remove-ReferencePoint $id }
    $state.obsolete = @()
    Write-State $statePath $state
}

function New-Checkpoint {
    $before = @(Get-Checkpoints | ForEach-Object { [string] $_.Id })
    $state.before = $before
    $state.intent = [datetime]::UtcNow.AddSeconds(-1).ToString('o')
    Write-State $statePath $state
    $level = if ($Consistency -eq 'Application') { 1 } else { 2 }
    # An embedded instance: drives that cannot be frozen (pass-through) are left out; ours are checked afterwards.
    $settings = '<INSTANCE CLASSNAME="Msvm_VirtualSystemSnapshotSettingData">' +
        "<PROPERTY NAME=`"ConsistencyLevel`" TYPE=`"uint8`"><VALUE>$level</VALUE></PROPERTY>" +
        '<PROPERTY NAME="IgnoreNonSnapshottableDisks" TYPE="boolean"><VALUE>TRUE</VALUE></PROPERTY></INSTANCE>'
    $system = Get-CimInstance -Namespace $namespace -ClassName Msvm_ComputerSystem -Filter "Name='$vmId'"
    $arguments = @{ AffectedSystem = $system; SnapshotSettings = $settings; SnapshotType = [uint16] 32768 }
    $service = Get-HyperVService Msvm_VirtualSystemSnapshotService
    Wait-HyperV (Invoke-CimMethod -InputObject $service -MethodName CreateSnapshot -Arguments $arguments) 'making a recovery checkpoint'
    $made = @(Get-Checkpoints | Where-Object { $before -notcontains [string] $_.Id })
    if ($made.Count -ne 1) { throw "Hyper-V has made $($made.Count) recovery checkpoints of $VM." }
    return $made[0]
}

# The reference point that a conversion made. None where another program has made one meanwhile: which is ours is not known then.
function Find-NewPoint {
    $new = @(Get-ReferencePoints | Where-Object { $state.before -notcontains $_.InstanceID -and $_.ReferencePointType -eq 2 })
    if ($new.Count -eq 1) { return $new[0].InstanceID }
}

# ---- The verbs

function Invoke-Freeze([string] $since) {
    if ($state.frozen -or $state.intent) { Remove-Frozen }
    $rctIds = @{}
    if ($since) {
        if ($state.reference -ne $since) { throw [TrackingLost]::new("$statePath knows of the reference `"$($state.reference)`"") }
        $rctIds = Get-RctIds $state.referencePoint
        foreach ($disk in @(Get-Disks (Get-VMHardDiskDrive -VM $machine))) {
            if (-not $rctIds[$disk.Place]) { throw [TrackingLost]::new("the reference point has no changes of disk $($disk.Disk)") }
        }
    }
    $takenAt = [datetime]::UtcNow
    try {
        $checkpoint = New-Checkpoint
        $state.frozen = [guid]::NewGuid().ToString()
        $state.checkpoint = [string] $checkpoint.Id
        Write-State $statePath $state
        $disks = foreach ($disk in @(Get-Disks (Get-VMHardDiskDrive -VMSnapshot $checkpoint))) {
            $fields = [ordered] @{ disk = $disk.Disk; path = $disk.Path; format = 'vhdx' } | ConvertTo-Json -Compress
            if ($since) { $fields = $fields.TrimEnd('}') + ',"changes":' + (Get-ChangesJson $disk $rctIds[$disk.Place] $since $state.frozen) + '}' }
            $fields
        }
    } catch {
        try { Remove-Frozen } catch { [Console]::Error.WriteLine("The checkpoint stays until the next attempt: $_") }
        throw
    }
    $time = $takenAt.ToString('yyyy-MM-ddTHH:mm:ss.fff', [cultureinfo]::InvariantCulture)
    "{`"reference`":`"$($state.frozen)`",`"takenAt`":`"${time}Z`",`"consistency`":`"$($Consistency.ToLowerInvariant())`",`"disks`":[$($disks -join ',')]}"
}

# The reference point of the checkpoint: converted now, or by an attempt that died after it had begun. Nothing when there is neither.
function Convert-Checkpoint {
    $checkpoint = Find-Checkpoint $state.checkpoint
    if ($checkpoint) {
        $state.before = @(Get-ReferencePoints | ForEach-Object { $_.InstanceID })
        $state.intent = 'convert'
        Write-State $statePath $state
        $settings = Get-CimInstance -Namespace $namespace -ClassName Msvm_VirtualSystemSettingData -Filter "InstanceID='Microsoft:$($state.checkpoint)'"
        $arguments = @{ AffectedSnapshot = $settings; ReferencePointSettings = '' }
        $service = Get-HyperVService Msvm_VirtualSystemSnapshotService
        Wait-HyperV (Invoke-CimMethod -InputObject $service -MethodName ConvertToReferencePoint -Arguments $arguments) 'converting the checkpoint to a reference point'
    } elseif ($state.intent -ne 'convert') { return }
    Find-NewPoint
}

function Invoke-Confirm([string] $reference) {
    if ($state.frozen -and $state.frozen -eq $reference) {
        $point = [string] (Convert-Checkpoint)
        if ($state.referencePoint) { $state.obsolete = @($state.obsolete) + $state.referencePoint }
        # Without it the next freeze says that the changes are not known.
        if ($point) { $state.reference = $reference } else {
            $state.reference = ''
            [Console]::Error.WriteLine("The checkpoint of $VM is gone and left no reference point: somebody else has removed it.")
        }
        $state.referencePoint = $point
        $state.frozen = ''; $state.checkpoint = ''; $state.intent = ''; $state.before = @()
        Write-State $statePath $state
        if ($point) {
            $rctIds = Get-RctIds $point
            foreach ($disk in @(Get-Disks (Get-VMHardDiskDrive -VM $machine))) {
                if (-not $rctIds[$disk.Place]) { throw "Hyper-V: the reference point $point has no disk at $($disk.Place) ($($disk.Disk)); it has $(@($rctIds.Keys) -join ', ')." }
            }
        }
    } elseif ($state.frozen -or $state.intent) { Remove-Frozen }
    Remove-Obsolete
}

function Invoke-Abort([string] $reference, [string] $since) {
    $isOther = $reference -and $state.frozen -and $state.frozen -ne $reference
    if (($state.frozen -or $state.intent) -and -not $isOther) { Remove-Frozen }
    if (-not $since) {
        if ($state.referencePoint) { $state.obsolete = @($state.obsolete) + $state.referencePoint }
        $state.reference = ''; $state.referencePoint = ''
    }
    Remove-Obsolete
}

try {
    $machine = if ($VM -match '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$') { Get-VM -Id $VM } else { Get-VM -Name $VM }
    if (@($machine).Count -ne 1) { throw "There are $(@($machine).Count) machines named $VM; give the id." }
    $vmId = ([string] $machine.Id).ToUpperInvariant()
    [void] (New-Item -ItemType Directory -Force -Path $StateFolder)
    $statePath = Join-Path ([System.IO.Path]::GetFullPath($StateFolder)) "$vmId.json"
    $state = Read-State $statePath
    switch ($Verb) {
        # Plain ASCII, whatever the code page of the console is.
        'freeze' { [Console]::Out.WriteLine([regex]::Replace((Invoke-Freeze $env:LIFEBOAT_SINCE), '[^\x20-\x7e]', { '\u{0:x4}' -f [int] $args[0].Value[0] })) }
        'confirm' { Invoke-Confirm $env:LIFEBOAT_REFERENCE }
        'abort' { Invoke-Abort $env:LIFEBOAT_REFERENCE $env:LIFEBOAT_SINCE }
    }
    exit 0
} catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    if ($_.Exception -is [TrackingLost]) { exit $trackingLost }
    exit 1
}
