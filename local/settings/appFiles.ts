// What the app's files say, read and checked before anything is started.
import { stat } from 'node:fs/promises';
import { StartError } from '../process/startError.ts';
import { type AppPackage, findEntryPoints, readAppPackage } from '../worker/entryPoints.ts';
import { type SettingsFile, readSettingsFile } from './appSettings.ts';
import { type HostConfig, readHostConfig } from './hostConfig.ts';
import { type LocalHostSection, parseLocalHostSection } from './localHostSection.ts';

export interface AppFiles {
  appPackage: AppPackage;
  config: HostConfig;
  section: LocalHostSection;
  settings: SettingsFile;
}

/** Throws StartError or AppLoadError that names the file and the mistake. */
export async function readAppFiles(appDirectory: string): Promise<AppFiles> {
  const found = await stat(appDirectory).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new StartError(
      `There is no app folder ${appDirectory}. Name the folder of a built app with --app.`,
    );
  }
  const appPackage = await readAppPackage(appDirectory);
  await findEntryPoints(appDirectory, appPackage.main);
  return {
    appPackage,
    config: await readHostConfig(appDirectory),
    section: parseLocalHostSection(appPackage.localHost),
    settings: await readSettingsFile(appDirectory),
  };
}
