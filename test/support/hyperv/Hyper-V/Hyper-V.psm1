# Hyper-V as its documentation describes it, for one machine, in a folder: the cmdlets of the module Hyper-V. CimCmdlets has the
# other half. LIFEBOAT_FAKE_HYPERV names the folder; state.json there is all that this host knows. Its disks are copies, not
# differencing images; what a program sees is the same: paths change when a checkpoint is made, and change back.
Set-StrictMode -Version 2
$statePath = Join-Path $env:LIFEBOAT_FAKE_HYPERV 'state.json'

function Read-FakeHost { [IO.File]::ReadAllText($statePath) | ConvertFrom-Json }
function Write-FakeHost($fake) { [IO.File]::WriteAllText($statePath, ($fake | ConvertTo-Json -Depth 8)) }

function Get-VM {
    [CmdletBinding(DefaultParameterSetName = 'Name')]
    param([Parameter(Mandatory, ParameterSetName = 'Name')] [string] $Name, [Parameter(Mandatory, ParameterSetName = 'Id')] [guid] $Id)
    $fake = Read-FakeHost
    if ($Name -and $fake.vm.name -ne $Name -or $Id -and $fake.vm.id -ne [string] $Id) { throw "Hyper-V was unable to find a virtual machine with name `"$Name$Id`"." }
    [pscustomobject] @{ FakeType = 'VM'; Id = [guid] $fake.vm.id; Name = $fake.vm.name }
}

function Get-VMSnapshot {
    [CmdletBinding()]
    param([Parameter(Mandatory)] $VM, [ValidateSet('Standard', 'Recovery')] [string] $SnapshotType)
    if ($VM.FakeType -ne 'VM') { throw 'Get-VMSnapshot: -VM is no machine.' }
    foreach ($each in (Read-FakeHost).checkpoints) {
        [pscustomobject] @{ FakeType = 'VMSnapshot'; Id = [guid] $each.id; CreationTime = ([datetime] $each.created).ToLocalTime() }
    }
}

function Get-VMHardDiskDrive {
    [CmdletBinding()]
    param([Parameter(Mandatory, ParameterSetName = 'VM')] $VM, [Parameter(Mandatory, ParameterSetName = 'VMSnapshot')] $VMSnapshot)
    $fake = Read-FakeHost
    $owner = $fake.vm.id
    $drives = $fake.drives
    if ($VMSnapshot) {
        $checkpoint = @($fake.checkpoints | Where-Object { $_.id -eq [string] $VMSnapshot.Id })
        if ($VMSnapshot.FakeType -ne 'VMSnapshot' -or $checkpoint.Count -ne 1) { throw 'Get-VMHardDiskDrive: there is no such checkpoint.' }
        $owner = $checkpoint[0].id
        $drives = $checkpoint[0].drives
    }
    foreach ($each in $drives) { [pscustomobject] @{ Path = $each.path; Id = "Microsoft:$($owner.ToUpperInvariant())\$($each.place)\D" } }
}

function Get-VHD {
    [CmdletBinding()]
    param([Parameter(Mandatory)] [string] $Path)
    $fake = Read-FakeHost
    $place = @(@($fake.drives) + @($fake.checkpoints | ForEach-Object { $_.drives }) | Where-Object { $_.path -eq $Path })
    if ($place.Count -eq 0 -or -not (Test-Path -LiteralPath $Path)) { throw "Getting the virtual disk failed: $Path." }
    # A live disk above a checkpoint has the frozen one as its parent.
    $parent = if ($Path -match '_[0-9a-f-]{36}\.avhdx$') { $Path -replace '_[0-9a-f-]{36}\.avhdx$', '.vhdx' } else { '' }
    [pscustomobject] @{ Path = $Path; ParentPath = $parent; Size = [uint64] @($fake.drives | Where-Object { $_.place -eq $place[0].place })[0].size }
}

# The machine writes into the files below again.
function Merge-FakeCheckpoint($fake, [string] $id) {
    foreach ($drive in @($fake.drives)) {
        $frozen = @(@($fake.checkpoints | Where-Object { $_.id -eq $id })[0].drives | Where-Object { $_.place -eq $drive.place })[0].path
        [IO.File]::Move($drive.path, $frozen, $true)
        $drive.path = $frozen
    }
    $fake.checkpoints = @($fake.checkpoints | Where-Object { $_.id -ne $id })
}

function Remove-VMSnapshot {
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param([Parameter(Mandatory)] $VMSnapshot)
    # Nobody answers a question.
    if ($ConfirmPreference -ne 'None') { throw 'Remove-VMSnapshot would ask for confirmation.' }
    $fake = Read-FakeHost
    if (@($fake.checkpoints | Where-Object { $_.id -eq [string] $VMSnapshot.Id }).Count -ne 1) { throw 'Remove-VMSnapshot: there is no such checkpoint.' }
    Merge-FakeCheckpoint $fake ([string] $VMSnapshot.Id)
    Write-FakeHost $fake
}

Export-ModuleMember -Function Get-VM, Get-VMSnapshot, Get-VMHardDiskDrive, Get-VHD, Remove-VMSnapshot, Read-FakeHost, Write-FakeHost, Merge-FakeCheckpoint
