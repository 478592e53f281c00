// The way in: an HTTP function that starts any orchestration through the durable client and answers with its links.
import { app } from '@azure/functions';
import * as df from 'durable-functions';

app.http('start', {
  authLevel: 'anonymous',
  methods: ['POST'],
  route: 'start/{name}/{id?}',
  extraInputs: [df.input.durableClient()],
  handler: async (request, context) => {
    const client = df.getClient(context);
    const { name, id } = request.params;
    const options = { input: await request.json(), ...(id === undefined ? {} : { instanceId: id }) };
    try {
      const instanceId = await client.startNew(name, options);
      return client.createCheckStatusResponse(request, instanceId);
    } catch (error) {
      // The SDK reports the extension's answer as text only.
      const status = /\b(400|409)\b/.exec(error.message)?.[1];
      if (status === undefined) throw error;
      return { status: Number(status), body: error.message };
    }
  },
});
